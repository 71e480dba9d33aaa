"""Tests of downloads of pictures: which hosts are asked, what is refused, and that no token is sent."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import pytest

from tiktok_assets.api.pictures import MAX_PICTURE_BYTES, PictureClient, PictureError
from tiktok_assets_tests.http_server import LocalServer


@dataclass
class PictureHost(LocalServer):
    """A host that answers each path with a fixed status, headers and body, and records the requests' headers."""

    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    requests: list[dict[str, str]] = field(default_factory=list)
    sent: int = 0

    def __enter__(self) -> Self:
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.requests.append({name.lower(): value for name, value in self.headers.items()})
                status, headers, body = host.answers[self.path]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                for start in range(0, len(body), 65536):
                    try:
                        self.wfile.write(body[start : start + 65536])
                    except ConnectionError:
                        return
                    host.sent += 65536

            def log_message(self, *_: object) -> None:
                pass

        self.serve(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        return self


@pytest.fixture
def host() -> Iterator[PictureHost]:
    """A host of pictures on loopback."""
    with PictureHost() as one:
        yield one


def refusal(base_url: str, url: str) -> PictureError:
    """Return why a picture is refused."""
    with PictureClient(base_url) as client, pytest.raises(PictureError) as caught:
        client.download(url)
    return caught.value


def test_requests_have_no_token(host: PictureHost) -> None:
    """A picture is requested without a token, cookie or referrer."""
    host.answers["/a"] = (200, {"Set-Cookie": "a=b"}, b"picture")
    with PictureClient(host.url) as client:
        assert [client.download(f"{host.url}/a") for _ in range(2)] == [b"picture"] * 2
    names = {name for one in host.requests for name in one}
    assert not names & {"access-token", "authorization", "referer"}
    assert len(host.requests) == 2


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://tiktokcdn.com.evil.example/a.jpg",
        "https://eviltiktokcdn.com/a.jpg",
        "https://tiktokcdn.com@evil.example/a.jpg",
        "https://user:password@p16.tiktokcdn.com/a.jpg",
        "https://p16.tiktokcdn.com:8443/a.jpg",
        "file:///etc/passwd",
        "//p16.tiktokcdn.com/a.jpg",
        "data:image/png;base64,AAAA",
        "http://[::1",
        "",
    ],
)
def test_other_hosts_are_never_asked(host: PictureHost, url: str) -> None:
    """A URL that is not of TikTok's content network is refused for good, without a request."""
    assert not refusal("https://business-api.tiktok.com", url).is_temporary
    assert not refusal(host.url, url).is_temporary


def test_loopback_is_only_allowed_for_the_own_host(host: PictureHost) -> None:
    """A picture on this machine is requested only if the API has the same origin, as the sandbox."""
    assert "content network" in str(refusal("https://business-api.tiktok.com", f"{host.url}/a"))
    assert "content network" in str(refusal("http://127.0.0.1:9", f"{host.url}/a"))
    assert host.requests == []


def test_redirects_are_not_followed(host: PictureHost) -> None:
    """A redirect is refused, also one to the same host."""
    host.answers |= {"/a": (302, {"Location": f"{host.url}/b"}, b""), "/b": (200, {}, b"picture")}
    assert not refusal(host.url, f"{host.url}/a").is_temporary
    assert len(host.requests) == 1


@pytest.mark.parametrize("is_announced", [True, False])
def test_large_pictures_are_not_read_to_their_end(host: PictureHost, is_announced: bool) -> None:
    """A response of more than 5 MB is abandoned, whether or not its length is announced."""
    body = b"\0" * (4 * MAX_PICTURE_BYTES)
    host.answers["/a"] = (200, {"Content-Length": str(len(body))} if is_announced else {}, body)
    error = refusal(host.url, f"{host.url}/a")
    assert (str(error), error.is_temporary) == ("larger than 5 MB", False)


def test_compressed_responses_are_refused(host: PictureHost) -> None:
    """A response with an encoding that was not requested is refused, because its size is unknown."""
    host.answers["/a"] = (200, {"Content-Encoding": "gzip"}, b"picture")
    assert "compress" in str(refusal(host.url, f"{host.url}/a"))


def test_expired_urls_may_work_later(host: PictureHost) -> None:
    """A refused URL and a host that cannot be reached are temporary."""
    host.answers["/a"] = (403, {}, b"")
    assert refusal(host.url, f"{host.url}/a").is_temporary
    assert refusal("http://127.0.0.1:9", "http://127.0.0.1:9/a").is_temporary
