"""Send the requests that a page of another web site can make the user's browser send."""

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

EVIL = "http://evil.example"
MUTATION = (
    'mutation { addDynamicPartition(partitionsDefName: "advertiser_id", partitionKey: "666") { __typename } }'
)
QUERY = "{ version }"
TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class CrossSiteResponse:
    """The response to one request."""

    name: str
    status: int
    body: str
    headers: dict[str, str]


def send(port: int, method: str, path: str, headers: dict[str, str], body: str = "") -> CrossSiteResponse:
    """Send one request to loopback with exactly these headers and a Host header, unless they have one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body.encode())))
        connection.endheaders(body.encode())
        response = connection.getresponse()
        text = "" if response.status == 101 else response.read().decode(errors="replace")
        return CrossSiteResponse(
            f"{method} {path[:40]}", response.status, text, {k.lower(): v for k, v in response.getheaders()}
        )
    finally:
        connection.close()


def send_attempts(port: int) -> Iterator[tuple[str, CrossSiteResponse]]:
    """Yield each request that such a page can send to a webserver on loopback: a description and the response."""
    cross = {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"}
    image = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    frame = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
    by_get = f"/graphql?query={quote(MUTATION)}"
    payload = json.dumps({"query": MUTATION})
    form = f"query={quote(MUTATION)}"
    is_json, is_form = {"Content-Type": "application/json"}, {"Content-Type": "application/x-www-form-urlencoded"}
    parts = f'--x\r\nContent-Disposition: form-data; name="operations"\r\n\r\n{payload}\r\n--x--\r\n'
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol": "graphql-ws",
    }
    yield "image whose URL is a mutation", send(port, "GET", by_get, image)
    yield "the same from a browser without Sec-Fetch headers", send(port, "GET", by_get, {})
    yield "the same with a trailing slash", send(port, "GET", by_get.replace("?", "/?"), {})
    yield "a link to it", send(port, "GET", by_get, frame | {"Sec-Fetch-Dest": "document"})
    yield "plain POST", send(port, "POST", "/graphql", {"Content-Type": "text/plain"} | cross, payload)
    yield "plain POST without Origin", send(port, "POST", "/graphql", {"Content-Type": "text/plain"}, payload)
    yield "POST without a type", send(port, "POST", "/graphql", {}, payload)
    yield "form POST", send(port, "POST", "/graphql", is_form | cross, form)
    yield "form POST without Origin", send(port, "POST", "/graphql", is_form, form)
    yield (
        "multipart form POST",
        send(port, "POST", "/graphql", {"Content-Type": "multipart/form-data; boundary=x"} | cross, parts),
    )
    yield "JSON POST with another Origin", send(port, "POST", "/graphql", is_json | cross, payload)
    yield "JSON POST with Origin null", send(port, "POST", "/graphql", is_json | {"Origin": "null"}, payload)
    yield (
        "JSON POST from another port of this machine",
        send(port, "POST", "/graphql", is_json | {"Origin": "http://localhost:1"}, payload),
    )
    yield "preflight", send(port, "OPTIONS", "/graphql", cross | {"Access-Control-Request-Method": "POST"})
    yield "POST to another route", send(port, "POST", "/report_asset_materialization/x", is_form | cross, "a=b")
    for host in (
        f"evil.example:{port}",
        "evil.example",
        f"127.0.0.1.evil.example:{port}",
        f"localhost:{port + 1}",
    ):
        yield f"page with Host {host}", send(port, "GET", "/", {"Host": host})
        yield f"query with Host {host}", send(port, "POST", "/graphql", is_json | {"Host": host}, payload)
    yield "frame", send(port, "GET", "/", frame)
    yield "script", send(port, "GET", "/server_info", image | {"Sec-Fetch-Dest": "script"})
    yield "websocket", send(port, "GET", "/graphql", upgrade | {"Origin": EVIL})
    yield (
        "websocket with another host name",
        send(port, "GET", "/graphql", upgrade | {"Host": f"evil.example:{port}"}),
    )


def list_accepted_attempts(port: int) -> list[str]:
    """Return a line for each attempt that was not refused; the list should be empty."""
    accepted = []
    for name, response in send_attempts(port):
        refused = response.status in {403, 405, 415, 421}
        if not refused or "access-control-allow-origin" in response.headers or "__typename" in response.body:
            accepted.append(f"{name}: {response.status} {response.body[:80]}")
    return accepted


def query(port: int, text: str = QUERY, **headers: str) -> CrossSiteResponse:
    """Send a GraphQL query as a program does, or with the headers of a page."""
    all_headers = {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
    return send(port, "POST", "/graphql", all_headers, json.dumps({"query": text}))
