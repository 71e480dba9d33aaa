"""Hosts to read from over real HTTP: the sandbox told to misbehave by name, and a listener that only listens."""

import json
import logging
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

import httpx
import pytest

from tiktok_assets.api.client import Client, RequestStats, RetryPolicy
from tiktok_assets.api.errors import TikTokError
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.sandbox.http.context import Switches
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan

ATTEMPTS = 4
FAST = RetryPolicy(
    attempts=ATTEMPTS,
    total_seconds=30.0,
    wait_initial_seconds=0.001,
    wait_max_seconds=0.002,
    throttle_seconds=0.002,
    shared_pause_seconds=0.004,
    breach_memory_seconds=0.0,
    timeouts_within_seconds=0.01,
    connect_seconds=5.0,
    read_seconds=20.0,
)
"""Waits of milliseconds; no test but those about time-outs may run into one, however busy the machine."""

SHORT_TIMEOUTS = RetryPolicy(
    attempts=2,
    total_seconds=30.0,
    wait_initial_seconds=0.001,
    wait_max_seconds=0.002,
    throttle_seconds=0.002,
    shared_pause_seconds=0.004,
    breach_memory_seconds=0.0,
    timeouts_within_seconds=0.01,
    connect_seconds=0.4,
    read_seconds=0.4,
)
"""For hosts that hang."""

HANG_SECONDS = 0.7
PAGE = 1000

SMALL = WorldPlan(dense=True, advertisers=4, days=6, campaigns=1, ad_groups=2, ads=3)
FULL_PAGE = WorldPlan(dense=True, advertisers=1, days=1, campaigns=1000, ad_groups=1000, ads=1000)
ONE_MORE = WorldPlan(dense=True, advertisers=1, days=1, campaigns=1001, ad_groups=1001, ads=1001)
SEVERAL_PAGES = WorldPlan(dense=True, advertisers=1, days=3, campaigns=3, ad_groups=40, ads=2300)


@dataclass
class Host:
    """A sandbox, and the control routes that make it misbehave and tell the truth."""

    sandbox: RunningSandbox
    http: httpx.Client
    clients: dict[RetryPolicy, Client] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def run(cls, plan: WorldPlan | None = None) -> "Iterator[Host]":
        """Run a sandbox without limits."""
        with (
            RunningSandbox(plan, limits=Limits(qps=None, qpm=None)) as sandbox,
            httpx.Client(base_url=f"{sandbox.base_url}/sandbox/", timeout=20) as http,
        ):
            host = cls(sandbox, http)
            try:
                yield host
            finally:
                for client in host.clients.values():
                    client.close()

    @property
    def advertiser_ids(self) -> list[str]:
        """All accounts of the world."""
        return list(self.sandbox.world.advertisers)

    @property
    def secrets(self) -> tuple[str, str]:
        """What may be shown nowhere."""
        return self.sandbox.token, self.sandbox.secret

    def control(self, method: str, path: str, /, **body: object) -> Any:  # noqa: ANN401 - JSON is anything
        """The JSON of a control route that must succeed; money comes as exact decimals."""
        answer = self.http.request(method, path, json=body or None)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.text, parse_float=Decimal)

    def truth(self, what: str, **asked: str) -> list[dict[str, Any]]:
        """What is so at this instant of the world, without pages, filters or rules."""
        answer = self.http.get(f"truth/{what}", params=asked)
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = json.loads(answer.text, parse_float=Decimal)
        return rows

    def misbehave(self, kind: str, **how: object) -> None:
        """Ask for a fault by name."""
        self.control("POST", "faults", kind=kind, **how)

    def behave(self) -> None:
        """Put everything back as it was, and forget the requests."""
        self.sandbox.state.faults.clear()
        self.sandbox.state.requests.clear()
        if penalties := getattr(self.sandbox.state, "penalties", None):
            penalties.reset()
        self.sandbox.clock.set(self.sandbox.world.plan.anchor)
        for switch in fields(Switches):
            setattr(self.sandbox.state.switches, switch.name, getattr(Switches(), switch.name))
        for advertiser in self.sandbox.world.advertisers.values():
            advertiser.granted = advertiser.account.granted

    def advance(self, **amount: float) -> None:
        """Let the world's time pass: days, hours, seconds."""
        seconds = sum({"days": 86_400, "hours": 3_600, "seconds": 1}[unit] * n for unit, n in amount.items())
        self.control("POST", "clock", advance_seconds=seconds)

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The API requests since the last `behave`, oldest first."""
        asked: list[dict[str, Any]] = self.control("GET", "requests")
        return asked

    def settle(self, sent: int) -> None:
        """Wait until a host that hung has dealt with all that was sent, and cannot disturb the next test."""
        patience = time.monotonic() + 10
        while len(self.requests) < sent and time.monotonic() < patience:
            time.sleep(0.02)

    def client(self, policy: RetryPolicy = FAST) -> Client:
        """A client of this host that has cost nothing yet; connections are kept, since TLS is slow to begin."""
        if policy not in self.clients:
            self.clients[policy] = Client(self.sandbox.base_url, self.sandbox.token, policy=policy)
        client = self.clients[policy]
        client.total = RequestStats()
        return client

    @contextmanager
    def fetcher(self, policy: RetryPolicy = FAST) -> Iterator[tuple[Client, Fetcher]]:
        """A client and what reads its pages."""
        client = self.client(policy)
        fetcher = Fetcher(client)
        try:
            yield client, fetcher
        finally:
            fetcher.close()


@dataclass
class Listener:
    """A host that notes every connection and every request, and gives one prepared answer to all.

    Attributes:
        status: of every answer.
        body: of every answer.
        connections: how many were made.
        heard: path with query, and the headers, of each request.
        bodies: what was posted.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    connections: int = 0
    heard: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    url: str = ""

    def __enter__(self) -> Self:
        told = self

        class Handler(BaseHTTPRequestHandler):
            """Notes and answers."""

            def setup(self) -> None:
                told.connections += 1
                super().setup()

            def do_GET(self) -> None:
                told.heard.append((self.path, {name.lower(): text for name, text in self.headers.items()}))
                self.send_response(told.status)
                for name, text in {"Content-Length": str(len(told.body)), **told.headers}.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(told.body)

            def do_POST(self) -> None:
                told.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.do_GET()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def assert_no_secret_leaks(
    secrets: tuple[str, ...], caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """Nothing that was logged or raised shows a secret: message, repr, traceback and causes included."""
    shown = [repr(error), *traceback.format_exception(error)]
    link: BaseException | None = error
    while link is not None:
        shown += [str(link), repr(link), repr(link.args)]
        link = link.__cause__ or link.__context__
    shown += [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    assert [text for text in shown for secret in secrets if secret in text] == []


def assert_error_details(error: TikTokError, path: str, *, code: int | None) -> None:
    """An error says which endpoint failed, and code and request id where there was an envelope."""
    assert error.endpoint.strip("/") == path
    assert path in str(error)
    assert error.code == code
    if code is not None:
        assert error.request_id
        assert f"code {code}" in str(error)
        assert error.request_id in str(error)


@pytest.fixture(scope="session")
def hosts() -> Iterator[dict[str, Host]]:
    """One host for each size of world: small, exactly a page, one row more, several pages."""
    plans = {"small": SMALL, "a page": FULL_PAGE, "one more": ONE_MORE, "several": SEVERAL_PAGES}
    with ExitStack() as open_hosts:
        yield {name: open_hosts.enter_context(Host.run(plan)) for name, plan in plans.items()}


@pytest.fixture
def small(hosts: dict[str, Host]) -> Iterator[Host]:
    """The host of a small world, well-behaved before and after."""
    hosts["small"].behave()
    yield hosts["small"]
    hosts["small"].behave()


@pytest.fixture
def paged(hosts: dict[str, Host]) -> Iterator[Host]:
    """The host of a world whose listings take two pages, the second with one row."""
    hosts["one more"].behave()
    yield hosts["one more"]
    hosts["one more"].behave()


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything any library has to say, down to DEBUG."""
    caplog.set_level(logging.DEBUG)
    return caplog
