"""Send requests to the API: `get` and `post` return the data of a response or raise an error of `errors`."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Lock
from types import TracebackType
from typing import Any, Self

import httpx
import stamina

from tiktok_assets.api.envelope import parse_response
from tiktok_assets.api.errors import (
    BudgetUnavailableError,
    ContractError,
    CredentialsError,
    RetryLaterError,
    SlowResponseError,
    ThrottledError,
)
from tiktok_assets.api.rate_limit.backoff import Backoff, BackoffPolicy, TimeoutStore, hash_request
from tiktok_assets.api.rate_limit.rate_limiter import PathBudgets, RequestBudget, UnlimitedBudget
from tiktok_assets.api.retry import RetryPolicy, detect_unknown_outcome, encode_body
from tiktok_assets.api.transport import HttpResponse, open_http_client, send_request
from tiktok_assets.api.version_translation import translate_request, translate_response
from tiktok_assets.spec import Endpoint

# Both libraries log URLs (httpcore those of redirects), and that of `oauth2/advertiser/get` has the app's secret.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)
# With structlog installed, stamina prints retries to standard output, among the data; `RequestStats` counts them.
stamina.instrumentation.set_on_retry_hooks([])

Parameter = str | int | list[str] | Mapping[str, Any] | list[dict[str, str]]

REDIRECTS = frozenset({301, 302, 303, 307, 308})
METHOD_PRESERVING_REDIRECTS = frozenset({307, 308})


@dataclass(slots=True)
class RequestStats:
    """Counts of what an operation has cost; safe to update from several threads.

    Attributes:
        requests: number of requests sent, retries included.
        pages: number of pages read.
        retries: number of requests that were retries.
        bytes: size of the responses as uncompressed JSON.
        unknown_fields: names of response fields that no schema has.
    """

    requests: int = 0
    pages: int = 0
    retries: int = 0
    bytes: int = 0
    unknown_fields: set[str] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, *, requests: int = 0, pages: int = 0, retries: int = 0, size: int = 0) -> None:
        """Add to the counts; `size` is in bytes."""
        with self._lock:
            self.requests += requests
            self.pages += pages
            self.retries += retries
            self.bytes += size


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A successful response.

    Attributes:
        data: the `data` of the envelope.
        request_id: TikTok's id of the request.
        headers: the HTTP headers.
        read_at: when it was received, by the host's clock.
    """

    data: dict[str, Any]
    request_id: str
    headers: Mapping[str, str]
    read_at: datetime


class Client:
    """A connection to one host with one token; safe to share between threads.

    Args:
        base_url: the URL of the host, such as `https://business-api.tiktok.com`.
        token: the access token; None if there is none yet.
        version: the API version, "v1.3" or "v1.2".
        budget: the request budget of the app; unlimited by default.
        policy: how often requests are retried, and how long they may wait.
        timeouts: where timeouts of reports are recorded; None records none.
        path_budgets: request budgets of single endpoint paths.
        transport: sends the requests instead of httpx's connections, such as to an application in this process.

    Attributes:
        total: counts of all requests sent so far.
        backoff: the delays after rejections, with their count.
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
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.policy = policy or RetryPolicy()
        self.base_url = base_url.rstrip("/")
        self._token = token
        self._version = version
        self._budget = budget or UnlimitedBudget()
        self._path_budgets = path_budgets or PathBudgets()
        shared_fields = {one.name: getattr(self.policy, one.name) for one in fields(BackoffPolicy)}
        self.backoff = Backoff(self._budget, BackoffPolicy(**shared_fields), timeouts, self.now)
        self._clock_offset = timedelta()
        self.total = RequestStats()
        self._http = open_http_client(
            self.policy.connect_timeout_seconds, self.policy.read_timeout_seconds, transport
        )

    def __repr__(self) -> str:
        return f"Client({self.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def get(self, endpoint: Endpoint, parameters: Mapping[str, Parameter], stats: RequestStats) -> ApiResponse:
        """Send a GET request, retry it if that can help, and check the response.

        Args:
            endpoint: an endpoint of `spec.endpoints`.
            parameters: query parameters by name; lists and objects are sent as JSON text, as the API requires.
            stats: the cost of the request is added to it.

        Raises:
            TikTokError: if the request failed; its class says what to do next.
        """
        versioned, translated = translate_request(self._version, endpoint, parameters)
        query = {name: _encode_parameter(value) for name, value in translated.items()}
        url = self.build_url(versioned)
        identity = hash_request(url, query) if versioned.penalizes_repeats else ""
        attempts = stamina.retry_context(
            on=self._retry_delay,
            attempts=self.policy.max_attempts,
            timeout=self.policy.total_seconds,
            wait_initial=self.policy.min_backoff_seconds,
            wait_max=self.policy.max_backoff_seconds,
            wait_jitter=self.policy.min_backoff_seconds,
        )
        for attempt in attempts:
            with attempt:
                if attempt.num > 1:
                    stats.add(retries=1)
                    self.total.add(retries=1)
                with self.backoff.limit(versioned, query.get("advertiser_id", ""), identity):
                    response = self._parse(versioned, query, self._follow_redirect(versioned, url, query, stats))
                return replace(response, data=translate_response(self._version, endpoint, response.data))
        raise AssertionError("stamina either returns or raises")  # pragma: no cover

    def post(
        self,
        endpoint: Endpoint,
        body: Mapping[str, Any],
        stats: RequestStats,
        *,
        before_send: Callable[[], None] = lambda: None,
    ) -> ApiResponse:
        """Send a write once, without retries; after an unknown outcome the caller must check before it repeats it.

        Args:
            endpoint: an endpoint of `spec.endpoints`.
            body: the JSON body, with exact numbers.
            stats: the cost of the request is added to it.
            before_send: called just before the request is sent; an exception from it prevents the request.

        Raises:
            UnknownOutcomeError: if the write may have been carried out.
            TikTokError: if it was not, in every other case.
        """
        advertiser_id = str(body.get("advertiser_id", ""))
        with self.backoff.limit(endpoint, advertiser_id), detect_unknown_outcome(endpoint):
            request = self._build_request("POST", self.build_url(endpoint), content=encode_body(body))
            response = self._send(endpoint, request, stats, before_send)
            if response.status_code in REDIRECTS:
                raise ContractError("the host redirects a write; it is not sent there", endpoint=endpoint.path)
            return self._parse(endpoint, {}, response)

    def build_url(self, endpoint: Endpoint) -> str:
        """Return the URL of an endpoint."""
        return f"{self.base_url}/open_api/{self._version}/{endpoint.path}"

    def _retry_delay(self, error: Exception) -> bool | float:
        """Return whether to retry after an error; a number is the least delay in seconds."""
        if isinstance(error, SlowResponseError | BudgetUnavailableError):
            return False  # it has occupied a thread long enough
        if isinstance(error, ThrottledError):
            return error.retry_after_seconds is None  # the next request waits for the cooldown
        if isinstance(error, RetryLaterError):
            return error.retry_after_seconds or True
        return False

    def _follow_redirect(
        self, endpoint: Endpoint, url: str, query: dict[str, str], stats: RequestStats
    ) -> HttpResponse:
        """Send a GET request, and follow one redirect within the host; any other redirect is an error."""
        response = self._get_once(endpoint, url, query, stats)
        if response.status_code not in REDIRECTS:
            return response
        target = response.url.join(response.headers.get("location", ""))
        if (target.scheme, target.netloc) != (response.url.scheme, response.url.netloc):
            raise ContractError(
                f"the host redirects to {target.host}; the token is not sent to another host",
                endpoint=endpoint.path,
            )
        if response.status_code in METHOD_PRESERVING_REDIRECTS:
            response = self._get_once(endpoint, str(target.copy_with(query=None)), query, stats)
        if response.status_code in REDIRECTS:
            raise ContractError("the host redirects more than once", endpoint=endpoint.path)
        return response

    def _get_once(self, endpoint: Endpoint, url: str, query: dict[str, str], stats: RequestStats) -> HttpResponse:
        return self._send(endpoint, self._build_request("GET", url, params=query), stats)

    def _build_request(self, method: str, url: str, **content: Any) -> httpx.Request:  # noqa: ANN401 - as in httpx
        """Build a request with the access token.

        Raises:
            CredentialsError: if there is no token, or it has characters that no token has.
        """
        if not self._token:
            raise CredentialsError("no token: run `tiktok-assets auth`, or set TIKTOK_ACCESS_TOKEN")
        if not self._token.isascii() or not self._token.isprintable() or " " in self._token:
            raise CredentialsError("TIKTOK_ACCESS_TOKEN has spaces or characters that no token has")
        headers = {"Access-Token": self._token} | (
            {"Content-Type": "application/json"} if "content" in content else {}
        )
        return self._http.build_request(method, url, headers=headers, **content)

    def _send(
        self,
        endpoint: Endpoint,
        request: httpx.Request,
        stats: RequestStats,
        before_send: Callable[[], None] = lambda: None,
    ) -> HttpResponse:
        """Send one request within the request budgets, and count it."""
        self._path_budgets.acquire(endpoint.path)
        self._budget.acquire()
        before_send()
        stats.add(requests=1)
        self.total.add(requests=1)
        response = send_request(self._http, request, endpoint, self.policy.response_timeout_seconds)
        stats.add(size=len(response.content))
        self.total.add(size=len(response.content))
        self._set_clock(response.headers.get("date"))
        return response

    def now(self) -> datetime:
        """Return the current UTC time by the host's clock; by ours before its first response.

        The clock that made the data decides which days are over and complete. If our clock is wrong, or if a
        sandbox runs in the past, an incomplete day must not be marked as complete.
        """
        return datetime.now(UTC) + self._clock_offset

    def _set_clock(self, date_header: str | None) -> None:
        try:
            instant = parsedate_to_datetime(date_header or "")
        except ValueError:
            return
        self._clock_offset = instant.astimezone(UTC) - datetime.now(UTC)

    def _parse(self, endpoint: Endpoint, query: Mapping[str, str], response: HttpResponse) -> ApiResponse:
        secrets = (self._token, query.get("secret"), query.get("auth_code"))
        envelope = parse_response(endpoint, response, [secret for secret in secrets if secret])
        return ApiResponse(envelope.data, envelope.request_id, response.headers, self.now())


def _encode_parameter(value: Parameter) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
