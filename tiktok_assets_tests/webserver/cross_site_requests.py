"""Play a page of another web site, which can make the user's browser send requests but not choose its headers."""

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
class Answer:
    """What one request of the page got."""

    name: str
    status: int
    body: str
    headers: dict[str, str]


def send(port: int, method: str, path: str, headers: dict[str, str], body: str = "") -> Answer:
    """Send one request to loopback with exactly these headers beside Host, which they may replace."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body.encode())))
        connection.endheaders(body.encode())
        answer = connection.getresponse()
        text = "" if answer.status == 101 else answer.read().decode(errors="replace")
        return Answer(f"{method} {path[:40]}", answer.status, text, {k.lower(): v for k, v in answer.getheaders()})
    finally:
        connection.close()


def attempts(port: int) -> Iterator[tuple[str, Answer]]:
    """Yield each thing such a page can try against a webserver on loopback, and the answer."""
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
    yield "image whose address is a mutation", send(port, "GET", by_get, image)
    yield "the same from a browser without Sec-Fetch headers", send(port, "GET", by_get, {})
    yield "the same with a slash behind", send(port, "GET", by_get.replace("?", "/?"), {})
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
    yield "JSON POST of a foreign Origin", send(port, "POST", "/graphql", is_json | cross, payload)
    yield "JSON POST of Origin null", send(port, "POST", "/graphql", is_json | {"Origin": "null"}, payload)
    yield (
        "JSON POST of another port of this machine",
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
        yield f"page of {host}", send(port, "GET", "/", {"Host": host})
        yield f"query by {host}", send(port, "POST", "/graphql", is_json | {"Host": host}, payload)
    yield "frame", send(port, "GET", "/", frame)
    yield "script", send(port, "GET", "/server_info", image | {"Sec-Fetch-Dest": "script"})
    yield "websocket", send(port, "GET", "/graphql", upgrade | {"Origin": EVIL})
    yield "websocket by a foreign name", send(port, "GET", "/graphql", upgrade | {"Host": f"evil.example:{port}"})


def gets_nothing(port: int) -> list[str]:
    """Return the attempts that were answered otherwise than by a refusal; none is right."""
    through = []
    for name, answer in attempts(port):
        refused = answer.status in {403, 405, 415, 421}
        if not refused or "access-control-allow-origin" in answer.headers or "__typename" in answer.body:
            through.append(f"{name}: {answer.status} {answer.body[:80]}")
    return through


def query(port: int, text: str = QUERY, **headers: str) -> Answer:
    """Send a query as a program on this machine does, or as the page's own script with its headers."""
    given = {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
    return send(port, "POST", "/graphql", given, json.dumps({"query": text}))
