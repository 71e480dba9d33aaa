"""The only module that speaks HTTP: `get` and `post` return an answer's data or raise a named error."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from math import inf
from threading import Lock
from types import TracebackType
from typing import Any, Self

import httpx
import stamina

from tiktok_assets.api.envelope import parse_response
from tiktok_assets.api.errors import (
    ContractError,
    CredentialsError,
    RetryLaterError,
    SlowResponseError,
    ThrottledError,
)
from tiktok_assets.api.rate_limit.backoff import Backoff, BackoffPolicy, TimeoutStore, hash_request
from tiktok_assets.api.rate_limit.budget import PathBudgets, RequestBudget, UnlimitedBudget
from tiktok_assets.api.retry import detect_unknown_outcome, encode_body
from tiktok_assets.api.transport import HttpResponse, open_http_client, send_request
from tiktok_assets.api.versions import translate_request, translate_response
from tiktok_assets.spec.endpoints import Endpoint

# Both log URLs, httpcore those of redirects, and `oauth2/advertiser/get` carries the app's secret in its query.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)
# Where structlog is installed, stamina prints each retry to standard output, into the data; the tally counts them.
stamina.instrumentation.set_on_retry_hooks([])

Parameter = str | int | list[str] | Mapping[str, Any] | list[dict[str, str]]

REDIRECTS = frozenset({301, 302, 303, 307, 308})
METHOD_PRESERVING_REDIRECTS = frozenset({307, 308})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long we wait and how often we ask.

    Attributes:
        attempts: how often one request is sent at most.
        total_seconds: how long one request may take with all its retries and pauses.
        wait_initial_seconds: the first pause; each further one doubles, with jitter.
        wait_max_seconds: the longest pause.
        throttle_seconds: the pause after the API said we are too fast.
        shared_pause_seconds: the pause of all processes when it says so again soon after (dossier 4.1).
        breach_memory_seconds: how soon after a pause that is.
        patience_seconds: the longest pause of the app that is waited for; a longer one is told at once.
        timeouts_within_seconds: how long a report that timed out counts; TikTok's ten seconds and a little.
        connect_seconds: how long a connection may take.
        read_seconds: how long an answer may be silent.
        answer_seconds: how long an answer may take from the request to its last byte.
    """

    attempts: int = 6
    total_seconds: float = 900.0
    wait_initial_seconds: float = 0.5
    wait_max_seconds: float = 30.0
    throttle_seconds: float = 5.0
    shared_pause_seconds: float = 300.0
    breach_memory_seconds: float = 60.0
    patience_seconds: float = inf
    timeouts_within_seconds: float = 10.5
    connect_seconds: float = 10.0
    read_seconds: float = 50.0
    answer_seconds: float = 50.0


@dataclass(slots=True)
class RequestStats:
    """What an undertaking cost: requests sent (retries among them), pages, retries, bytes of JSON."""

    requests: int = 0
    pages: int = 0
    retries: int = 0
    bytes: int = 0
    unknown_fields: set[str] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, *, requests: int = 0, pages: int = 0, retries: int = 0, size: int = 0) -> None:
        """Count, from any thread."""
        with self._lock:
            self.requests += requests
            self.pages += pages
            self.retries += retries
            self.bytes += size


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """The `data` of a good answer, the headers beside it, and when it came by the host's clock."""

    data: dict[str, Any]
    request_id: str
    headers: Mapping[str, str]
    read_at: datetime


class Client:
    """A connection to one host with one token; safe to share between threads.

    Attributes:
        total: what everything asked so far cost.
        pace: how fast it goes, and how often it was refused for that.
    """

    def __init__(
        self,
        base_url: str,
        token: str | None,
        *,
        version: str = "v1.3",
        budget: RequestBudget | None = None,
        policy: RetryPolicy | None = None,
        timeouts: TimeoutStore | None = None,
        path_budgets: PathBudgets | None = None,
    ) -> None:
        self.policy = policy or RetryPolicy()
        self.base_url = base_url.rstrip("/")
        self._token = token
        self._version = version
        self._budget = budget or UnlimitedBudget()
        self._path_budgets = path_budgets or PathBudgets()
        rhythm = BackoffPolicy(**{one.name: getattr(self.policy, one.name) for one in fields(BackoffPolicy)})
        self.pace = Backoff(self._budget, rhythm, timeouts, self.now)
        self._ahead = timedelta()
        self.total = RequestStats()
        self._http = open_http_client(self.policy.connect_seconds, self.policy.read_seconds)

    def __repr__(self) -> str:
        return f"Client({self.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def get(self, endpoint: Endpoint, parameters: Mapping[str, Parameter], tally: RequestStats) -> ApiResponse:
        """Ask one endpoint, again where that can help, and judge its answer.

        Args:
            endpoint: the row of `spec.endpoints`.
            parameters: by name; lists and objects are sent as JSON text, as the API wants them.
            tally: what this costs is added to it.

        Raises:
            TikTokError: the member of its tree that says what to do next.
        """
        asked, said = translate_request(self._version, endpoint, parameters)
        query = {name: _encode_parameter(value) for name, value in said.items()}
        url = self.address(asked)
        identity = hash_request(url, query) if asked.punishes_repeats else ""
        attempts = stamina.retry_context(
            on=self._pause_after,
            attempts=self.policy.attempts,
            timeout=self.policy.total_seconds,
            wait_initial=self.policy.wait_initial_seconds,
            wait_max=self.policy.wait_max_seconds,
            wait_jitter=self.policy.wait_initial_seconds,
        )
        for attempt in attempts:
            with attempt:
                if attempt.num > 1:
                    tally.add(retries=1)
                    self.total.add(retries=1)
                with self.pace.turn(asked, query.get("advertiser_id", ""), identity):
                    answer = self._judged(asked, query, self._sent(asked, url, query, tally))
                return replace(answer, data=translate_response(self._version, endpoint, answer.data))
        raise AssertionError("stamina either returns or raises")  # pragma: no cover

    def post(
        self,
        endpoint: Endpoint,
        body: Mapping[str, Any],
        tally: RequestStats,
        *,
        just_before: Callable[[], None] = lambda: None,
    ) -> ApiResponse:
        """Ask for one write, once: what became of it is the caller's to find out before it is asked for again.

        Args:
            endpoint: the row of `spec.endpoints`.
            body: as JSON will have it, with exact numbers.
            tally: what this costs is added to it.
            just_before: called when the request may leave; what it raises keeps it back.

        Raises:
            UnknownOutcomeError: if it may have been done.
            TikTokError: any other member of the tree: it was not done.
        """
        with self.pace.turn(endpoint, str(body.get("advertiser_id", ""))), detect_unknown_outcome(endpoint):
            request = self._signed("POST", self.address(endpoint), content=encode_body(body))
            response = self._answered(endpoint, request, tally, just_before)
            if response.status_code in REDIRECTS:
                raise ContractError("the host redirects; a write is carried nowhere else", endpoint=endpoint.path)
            return self._judged(endpoint, {}, response)

    def address(self, endpoint: Endpoint) -> str:
        """Where an endpoint is asked."""
        return f"{self.base_url}/open_api/{self._version}/{endpoint.path}"

    def _pause_after(self, error: Exception) -> bool | float:
        """Whether to ask again after an error, and after how many seconds at least."""
        if isinstance(error, SlowResponseError):
            return False  # it has held a thread long enough
        if isinstance(error, ThrottledError):
            return error.retry_after_seconds is None  # the pause itself is kept before the next request
        if isinstance(error, RetryLaterError):
            return error.retry_after_seconds or True
        return False

    def _sent(self, endpoint: Endpoint, url: str, query: dict[str, str], tally: RequestStats) -> HttpResponse:
        """One request on the wire; a redirect within the host is followed once, any other refused."""
        response = self._once(endpoint, url, query, tally)
        if response.status_code not in REDIRECTS:
            return response
        target = response.url.join(response.headers.get("location", ""))
        if (target.scheme, target.netloc) != (response.url.scheme, response.url.netloc):
            raise ContractError(
                f"the host redirects to {target.host}; the token is not carried to another host",
                endpoint=endpoint.path,
            )
        if response.status_code in METHOD_PRESERVING_REDIRECTS:
            response = self._once(endpoint, str(target.copy_with(query=None)), query, tally)
        if response.status_code in REDIRECTS:
            raise ContractError("the host redirects without end", endpoint=endpoint.path)
        return response

    def _once(self, endpoint: Endpoint, url: str, query: dict[str, str], tally: RequestStats) -> HttpResponse:
        return self._answered(endpoint, self._signed("GET", url, params=query), tally)

    def _signed(self, method: str, url: str, **what: Any) -> httpx.Request:  # noqa: ANN401 - as httpx takes them
        if not self._token:
            raise CredentialsError("no token: run `tiktok-assets auth`, or set TIKTOK_ACCESS_TOKEN")
        if not self._token.isascii() or not self._token.isprintable() or " " in self._token:
            raise CredentialsError("TIKTOK_ACCESS_TOKEN holds blanks or characters no token has")
        headers = {"Access-Token": self._token} | (
            {"Content-Type": "application/json"} if "content" in what else {}
        )
        return self._http.build_request(method, url, headers=headers, **what)

    def _answered(
        self,
        endpoint: Endpoint,
        request: httpx.Request,
        tally: RequestStats,
        just_before: Callable[[], None] = lambda: None,
    ) -> HttpResponse:
        self._path_budgets.acquire(endpoint.path)
        self._budget.acquire()
        just_before()
        tally.add(requests=1)
        self.total.add(requests=1)
        response = send_request(self._http, request, endpoint, self.policy.answer_seconds)
        tally.add(size=len(response.content))
        self.total.add(size=len(response.content))
        self._set_clock(response.headers.get("date"))
        return response

    def now(self) -> datetime:
        """The aware instant by the clock of the host we read from; by ours before its first answer.

        Which days are over, and which are complete, is judged by the clock that made the data: a machine whose
        clock is off, or a sandbox that lives in the past, must not mark a day as whole that is not.
        """
        return datetime.now(UTC) + self._ahead

    def _set_clock(self, told: str | None) -> None:
        try:
            instant = parsedate_to_datetime(told or "")
        except ValueError:
            return
        self._ahead = instant.astimezone(UTC) - datetime.now(UTC)

    def _judged(self, endpoint: Endpoint, query: Mapping[str, str], response: HttpResponse) -> ApiResponse:
        secrets = (self._token, query.get("secret"), query.get("auth_code"))
        envelope = parse_response(endpoint, response, [secret for secret in secrets if secret])
        return ApiResponse(envelope.data, envelope.request_id, response.headers, self.now())


def _encode_parameter(value: Parameter) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
