"""Run the sandbox over real HTTP with injected faults, or a server that records requests, for tests of `api`."""

import json
import logging
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import httpx
import pytest

from tiktok_assets.api.client import Client, RequestStats
from tiktok_assets.api.errors import TikTokError
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.api.retry import RetryPolicy
from tiktok_assets.sandbox.http.context import Switches
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets_tests.http_server import LocalServer

ATTEMPTS = 4
FAST = RetryPolicy(
    max_attempts=ATTEMPTS,
    total_seconds=30.0,
    min_backoff_seconds=0.001,
    max_backoff_seconds=0.002,
    first_cooldown_seconds=0.002,
    long_cooldown_seconds=0.004,
    cooldown_memory_seconds=0.0,
    timeout_window_seconds=0.01,
    connect_timeout_seconds=5.0,
    read_timeout_seconds=20.0,
)
"""Backoffs and cooldowns of milliseconds, but long timeouts, so that a busy machine causes none."""

SHORT_TIMEOUTS = RetryPolicy(
    max_attempts=2,
    total_seconds=30.0,
    min_backoff_seconds=0.001,
    max_backoff_seconds=0.002,
    first_cooldown_seconds=0.002,
    long_cooldown_seconds=0.004,
    cooldown_memory_seconds=0.0,
    timeout_window_seconds=0.01,
    connect_timeout_seconds=0.4,
    read_timeout_seconds=0.4,
)
"""A policy for hosts that hang."""

HANG_SECONDS = 0.7
PAGE = 1000

SMALL = WorldPlan(dense=True, advertisers=4, days=6, campaigns=1, ad_groups=2, ads=3)
FULL_PAGE = WorldPlan(dense=True, advertisers=1, days=1, campaigns=1000, ad_groups=1000, ads=1000)
ONE_MORE = WorldPlan(dense=True, advertisers=1, days=1, campaigns=1001, ad_groups=1001, ads=1001)
SEVERAL_PAGES = WorldPlan(dense=True, advertisers=1, days=3, campaigns=3, ad_groups=40, ads=2300)


@dataclass
class Host:
    """A running sandbox with the control routes that inject faults and return the ground truth."""

    sandbox: RunningSandbox
    http: httpx.Client
    clients: dict[RetryPolicy, Client] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def run(cls, plan: WorldPlan | None = None) -> "Iterator[Host]":
        """Run a sandbox without rate limits."""
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
        """Return the ids of all accounts of the world."""
        return list(self.sandbox.world.advertisers)

    @property
    def secrets(self) -> tuple[str, str]:
        """Return the token and the app's secret, which must never be shown."""
        return self.sandbox.token, self.sandbox.secret

    def control(self, method: str, path: str, /, **body: object) -> Any:  # noqa: ANN401 - any JSON value
        """Call a control route that must succeed, and return its JSON with exact decimals."""
        response = self.http.request(method, path, json=body or None)
        assert response.status_code == 200, response.text
        return json.loads(response.text, parse_float=Decimal)

    def ground_truth(self, kind: str, **parameters: str) -> list[dict[str, Any]]:
        """Return the current data of the world without pages, filters or API rules."""
        response = self.http.get(f"truth/{kind}", params=parameters)
        assert response.status_code == 200, response.text
        rows: list[dict[str, Any]] = json.loads(response.text, parse_float=Decimal)
        return rows

    def inject_fault(self, kind: str, **options: object) -> None:
        """Inject a fault by name."""
        self.control("POST", "faults", kind=kind, **options)

    def reset(self) -> None:
        """Remove all faults, penalties and settings, set the clock back, and clear the request log."""
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
        """Advance the clock of the world by days, hours or seconds."""
        seconds = sum({"days": 86_400, "hours": 3_600, "seconds": 1}[unit] * n for unit, n in amount.items())
        self.control("POST", "clock", advance_seconds=seconds)

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Return the API requests since the last `reset`, oldest first."""
        requests: list[dict[str, Any]] = self.control("GET", "requests")
        return requests

    def wait_for_requests(self, sent: int) -> None:
        """Wait until a host that hangs has logged all requests, so that the next test starts clean."""
        deadline = time.monotonic() + 10
        while len(self.requests) < sent and time.monotonic() < deadline:
            time.sleep(0.02)

    def client(self, policy: RetryPolicy = FAST) -> Client:
        """Return a client with empty statistics; its connections are reused because TLS is slow to start."""
        if policy not in self.clients:
            self.clients[policy] = Client(self.sandbox.base_url, self.sandbox.token, policy=policy)
        client = self.clients[policy]
        client.total = RequestStats()
        return client

    @contextmanager
    def fetcher(self, policy: RetryPolicy = FAST) -> Iterator[tuple[Client, Fetcher]]:
        """Open a client and a fetcher on it."""
        client = self.client(policy)
        fetcher = Fetcher(client)
        try:
            yield client, fetcher
        finally:
            fetcher.close()


@dataclass
class Listener(LocalServer):
    """A server that records all connections and requests, and sends the same prepared response to each.

    Attributes:
        status: the HTTP status of the response.
        body: the body of the response.
        headers: additional headers of the response.
        connections: number of connections.
        received: the path with its query, and the headers, of each request.
        posted_bodies: the body of each POST request.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    connections: int = 0
    received: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    posted_bodies: list[bytes] = field(default_factory=list)
    url: str = ""

    def __enter__(self) -> Self:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            """Records requests and sends the prepared response."""

            def setup(self) -> None:
                listener.connections += 1
                super().setup()

            def do_GET(self) -> None:
                listener.received.append((self.path, {name.lower(): text for name, text in self.headers.items()}))
                self.send_response(listener.status)
                for name, text in {"Content-Length": str(len(listener.body)), **listener.headers}.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(listener.body)

            def do_POST(self) -> None:
                listener.posted_bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.do_GET()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Log nothing."""

        self.serve(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        return self


def assert_no_secret_leaks(
    secrets: tuple[str, ...], caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """Check that no log record and no part of an error (message, repr, traceback, causes) has a secret."""
    shown = [repr(error), *traceback.format_exception(error)]
    cause: BaseException | None = error
    while cause is not None:
        shown += [str(cause), repr(cause), repr(cause.args)]
        cause = cause.__cause__ or cause.__context__
    shown += [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    assert [text for text in shown for secret in secrets if secret in text] == []


def assert_error_details(error: TikTokError, path: str, *, code: int | None) -> None:
    """Check that an error has the endpoint, and code and request id if there was an envelope."""
    assert error.endpoint.strip("/") == path
    assert path in str(error)
    assert error.code == code
    if code is not None:
        assert error.request_id
        assert f"code {code}" in str(error)
        assert error.request_id in str(error)


@pytest.fixture(scope="session")
def hosts() -> Iterator[dict[str, Host]]:
    """Run one host per size of world: small, exactly one page, one row more, several pages."""
    plans = {"small": SMALL, "a page": FULL_PAGE, "one more": ONE_MORE, "several": SEVERAL_PAGES}
    with ExitStack() as open_hosts:
        yield {name: open_hosts.enter_context(Host.run(plan)) for name, plan in plans.items()}


@pytest.fixture
def small_host(hosts: dict[str, Host]) -> Iterator[Host]:
    """Return the host of a small world, reset before and after the test."""
    hosts["small"].reset()
    yield hosts["small"]
    hosts["small"].reset()


@pytest.fixture
def paged_host(hosts: dict[str, Host]) -> Iterator[Host]:
    """Return the host of a world whose queries take two pages, the second with one row; also reset."""
    hosts["one more"].reset()
    yield hosts["one more"]
    hosts["one more"].reset()


@pytest.fixture
def debug_log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Capture the log of all libraries at level DEBUG."""
    caplog.set_level(logging.DEBUG)
    return caplog
