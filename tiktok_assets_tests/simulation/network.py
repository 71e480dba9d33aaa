"""The network between the client and the sandbox, in this process: it loses, delays and repeats as asked."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

import httpx
from starlette.requests import Request
from starlette.responses import Response

from tiktok_assets.sandbox.server import handle_request
from tiktok_assets.sandbox.state import State
from tiktok_assets_tests.simulation.process import as_simulator, current_process
from tiktok_assets_tests.simulation.virtual_time import VirtualClock

NetworkFault = Literal["lost_request", "lost_response", "hang", "late_write", "doubled_request", "no_connection"]
NETWORK_FAULTS: tuple[NetworkFault, ...] = (
    "lost_request",
    "lost_response",
    "hang",
    "late_write",
    "doubled_request",
    "no_connection",
)

HOST = "http://127.0.0.1:8765"


@dataclass
class Exchange:
    """A request that reached the host, with its response."""

    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    status: int
    content: bytes


@dataclass
class Network:
    """Carries requests to the sandbox.

    Attributes:
        state: of the sandbox.
        clock: moved by the time that requests take.
        random: decides which faults occur.
        rates: the probability of each fault for one request.
        fired: how often each fault occurred.
        observers: called with each exchange, after the host has executed it.
        interruptions: called before a request, to let others act in the same moment; each once.
        before_creation: called before the next request that creates an object, once.
        late: writes that the host executes later, with their time.
        requests: number of requests so far.
        strangers: URLs of other hosts that were requested.
        http: a client of the sandbox's server, for runs over real HTTP; None to call it in this process.
    """

    state: State
    clock: VirtualClock
    random: Random
    rates: dict[NetworkFault, float] = field(default_factory=dict)
    fired: Counter[str] = field(default_factory=Counter)
    observers: list[Callable[[Exchange], None]] = field(default_factory=list)
    interruptions: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    before_creation: Callable[[], None] | None = None
    late: list[tuple[float, httpx.Request]] = field(default_factory=list)
    requests: int = 0
    strangers: list[str] = field(default_factory=list)
    http: httpx.Client | None = None

    def send(self, request: httpx.Request) -> httpx.Response:
        """Send one request of a simulated process."""
        process = current_process()
        if process:
            process.reach("request")
        if f"{request.url.scheme}://{request.url.netloc.decode()}" != HOST:
            self.strangers.append(str(request.url))
            raise httpx.ConnectError("there is no such host", request=request)
        with as_simulator():
            self.requests += 1
            self.clock.advance(self.random.uniform(0.02, 0.4))
            self.execute_late()
            self._interrupt(request.url.path)
            response = self._carry(request)
        if process:
            process.reach("response")
        return response

    def _interrupt(self, path: str) -> None:
        due = [one for one in self.interruptions if one[0] <= self.requests]
        for one in due:
            self.interruptions.remove(one)
            one[1]()
        if path.endswith("/create/") and (act := self.before_creation):
            self.before_creation = None
            act()

    def _carry(self, request: httpx.Request) -> httpx.Response:
        fault = self._choose_fault(request.method)
        if fault:
            self.fired[fault] += 1
        if fault == "no_connection":
            raise httpx.ConnectError("connection refused", request=request)
        if fault == "lost_request":
            raise httpx.RemoteProtocolError("the server disconnected", request=request)
        if fault == "late_write":
            delay = self.random.uniform(1.0, 60.0)
            self.late.append((self.clock.monotonic() + delay, request))
            raise httpx.RemoteProtocolError("the server disconnected", request=request)
        if fault == "doubled_request":
            self.execute(request)
        response = self.execute(request)
        if fault == "hang":
            self.clock.advance(50.0)
            raise httpx.ReadTimeout("no bytes", request=request)
        if fault == "lost_response":
            raise httpx.ReadError("connection reset", request=request)
        return response

    def _choose_fault(self, method: str) -> NetworkFault | None:
        # There are few writes, and what becomes of them matters most.
        drawn = self.random.random() * (0.1 if method == "POST" else 1.0)
        for fault, rate in self.rates.items():
            drawn -= rate
            if drawn < 0:
                return None if _is_impossible(fault, method) else fault
        return None

    def execute_late(self) -> None:
        """Execute the late writes that are due."""
        due = [one for one in self.late if one[0] <= self.clock.monotonic()]
        for one in due:
            self.late.remove(one)
            self.execute(one[1])

    def execute(self, request: httpx.Request) -> httpx.Response:
        """Let the host execute a request now."""
        status, headers, content = self._call(request)
        body = request.content
        exchange = Exchange(
            request.method,
            request.url.path.removeprefix("/open_api/v1.3/").strip("/"),
            dict(request.url.params),
            json.loads(body) if body else {},
            status,
            content,
        )
        for observe in self.observers:
            observe(exchange)
        return httpx.Response(
            status,
            headers=headers,
            stream=httpx.ByteStream(exchange.content),
            request=request,
        )

    def _call(self, request: httpx.Request) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Return status, headers and body of the host's response."""
        if self.http is None:
            response = _run(_handle(self.state, request))
            return response.status_code, response.raw_headers, bytes(response.body)
        kept = {name: value for name, value in request.headers.items() if name not in {"host", "accept-encoding"}}
        own = self.http.build_request(
            request.method,
            request.url.raw_path.decode(),
            headers=kept | {"connection": "close", "accept-encoding": "identity"},
            content=request.content,
        )
        served = self.http.send(own)
        return served.status_code, served.headers.raw, served.read()


def _is_impossible(fault: NetworkFault, method: str) -> bool:
    """Return whether a fault does not apply: a late read changes nothing, and no proxy repeats a write."""
    return (fault == "late_write" and method == "GET") or (fault == "doubled_request" and method == "POST")


class SandboxTransport(httpx.BaseTransport):
    """An httpx transport into a simulated network."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request."""
        request.read()
        return self._network.send(request)


async def _handle(state: State, request: httpx.Request) -> Response:
    url = request.url
    version, _, path = url.path.removeprefix("/open_api/").partition("/")
    content = request.content

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    scope = {
        "type": "http",
        "method": request.method,
        "path": url.path,
        "query_string": url.query,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "path_params": {"version": version, "path": path},
        "scheme": url.scheme,
        "server": (url.host, url.port),
        "client": ("127.0.0.1", 1),
        "root_path": "",
    }
    return await handle_request(state, Request(scope, receive))


def _run(work: Coroutine[Any, Any, Response]) -> Response:
    """Run a coroutine that waits for nothing, without an event loop, which would cost a part of a millisecond."""
    try:
        work.send(None)
    except StopIteration as finished:
        response: Response = finished.value
        return response
    work.close()
    raise asyncio.InvalidStateError("the sandbox waited; delays are the network's here")
