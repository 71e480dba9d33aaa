"""The only module that speaks HTTP: one `get`, which returns an answer's data or raises a named error."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Lock
from types import TracebackType
from typing import Any, Self

import httpx
import stamina

from tiktok_assets.api.dialect import spoken, understood
from tiktok_assets.api.envelope import Envelope, envelope_of
from tiktok_assets.api.errors import (
    BY_CONSEQUENCE,
    ContractError,
    CredentialsError,
    RetryLaterError,
    ThrottledError,
    TikTokError,
    TooLargeError,
)
from tiktok_assets.api.limiter import Budget, Unlimited
from tiktok_assets.api.pace import Pace, Rhythm
from tiktok_assets.spec.endpoints import Endpoint
from tiktok_assets.spec.error_codes import error_code

# Both log URLs, httpcore those of redirects, and `oauth2/advertiser/get` carries the app's secret in its query.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)
# Where structlog is installed, stamina prints each retry to standard output, into the data; the tally counts them.
stamina.instrumentation.set_on_retry_hooks([])

Parameter = str | int | list[str] | Mapping[str, Any] | list[dict[str, str]]

TOO_MANY_REQUESTS = 429
GATEWAY_TIMEOUT = 504
REDIRECTS = frozenset({301, 302, 303, 307, 308})
REPEATABLE_REDIRECTS = frozenset({307, 308})


@dataclass(frozen=True, slots=True)
class Policy:
    """How long we wait and how often we ask.

    Attributes:
        attempts: how often one request is sent at most.
        total_seconds: how long one request may take with all its retries and pauses.
        wait_initial_seconds: the first pause; each further one doubles, with jitter.
        wait_max_seconds: the longest pause.
        throttle_seconds: the pause after the API said we are too fast.
        shared_pause_seconds: the pause of all processes when it says so again soon after (dossier 4.1).
        breach_memory_seconds: how soon after a pause that is.
        timeouts_within_seconds: how long a report that timed out counts; TikTok's ten seconds and a little.
        connect_seconds: how long a connection may take.
        read_seconds: how long an answer may be silent.
    """

    attempts: int = 6
    total_seconds: float = 900.0
    wait_initial_seconds: float = 0.5
    wait_max_seconds: float = 30.0
    throttle_seconds: float = 5.0
    shared_pause_seconds: float = 300.0
    breach_memory_seconds: float = 60.0
    timeouts_within_seconds: float = 10.5
    connect_seconds: float = 10.0
    read_seconds: float = 60.0


@dataclass(slots=True)
class Tally:
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
class Answer:
    """The `data` of a good answer and the headers beside it."""

    data: dict[str, Any]
    request_id: str
    headers: Mapping[str, str]


class Client:
    """A connection to one host with one token; safe to share between threads.

    Attributes:
        total: what everything asked so far cost.
    """

    def __init__(
        self,
        base_url: str,
        token: str | None,
        *,
        version: str = "v1.3",
        budget: Budget | None = None,
        policy: Policy | None = None,
    ) -> None:
        self.policy = policy or Policy()
        self.base_url = base_url.rstrip("/")
        self._token = token
        self._version = version
        self._budget = budget or Unlimited()
        rhythm = Rhythm(**{one.name: getattr(self.policy, one.name) for one in fields(Rhythm)})
        self._pace = Pace(self._budget, rhythm)
        self._ahead = timedelta()
        self.total = Tally()
        self._http = httpx.Client(
            follow_redirects=False,  # httpx would carry Access-Token to a foreign host
            timeout=httpx.Timeout(self.policy.read_seconds, connect=self.policy.connect_seconds),
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=32),
            headers={"User-Agent": "tiktok-assets", "Accept-Encoding": "gzip"},
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
        """Close every connection."""
        self._http.close()

    def get(self, endpoint: Endpoint, parameters: Mapping[str, Parameter], tally: Tally) -> Answer:
        """Ask one endpoint, again where that can help, and judge its answer.

        Args:
            endpoint: the row of `spec.endpoints`.
            parameters: by name; lists and objects are sent as JSON text, as the API wants them.
            tally: what this costs is added to it.

        Raises:
            TikTokError: the member of its tree that says what to do next.
        """
        asked, said = spoken(self._version, endpoint, parameters)
        query = {name: _text(value) for name, value in said.items()}
        url = f"{self.base_url}/open_api/{self._version}/{asked.path}"
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
                with self._pace.turn(asked, query.get("advertiser_id", "")):
                    answer = self._judged(asked, query, self._sent(asked, url, query, tally))
                return replace(answer, data=understood(self._version, endpoint, answer.data))
        raise AssertionError("stamina either returns or raises")  # pragma: no cover

    def _pause_after(self, error: Exception) -> bool | float:
        """Whether to ask again after an error, and after how many seconds at least."""
        if isinstance(error, ThrottledError):
            return error.retry_after_seconds is None  # the pause itself is kept before the next request
        if isinstance(error, RetryLaterError):
            return error.retry_after_seconds or True
        return False

    def _sent(self, endpoint: Endpoint, url: str, query: dict[str, str], tally: Tally) -> httpx.Response:
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
        if response.status_code in REPEATABLE_REDIRECTS:
            response = self._once(endpoint, str(target.copy_with(query=None)), query, tally)
        if response.status_code in REDIRECTS:
            raise ContractError("the host redirects without end", endpoint=endpoint.path)
        return response

    def _once(self, endpoint: Endpoint, url: str, query: dict[str, str], tally: Tally) -> httpx.Response:
        if not self._token:
            raise CredentialsError("no token: set TIKTOK_ACCESS_TOKEN in the environment or in .env")
        if not self._token.isascii() or not self._token.isprintable() or " " in self._token:
            raise CredentialsError("TIKTOK_ACCESS_TOKEN holds blanks or characters no token has")
        request = self._http.build_request("GET", url, params=query, headers={"Access-Token": self._token})
        return self._answered(endpoint, request, tally)

    def _answered(self, endpoint: Endpoint, request: httpx.Request, tally: Tally) -> httpx.Response:
        self._budget.acquire()
        tally.add(requests=1)
        self.total.add(requests=1)
        try:
            response = self._http.send(request)
        except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
            raise self._timed_out(endpoint, f"no answer in time ({type(error).__name__})") from error
        except httpx.HTTPError as error:
            raise RetryLaterError(
                f"cannot reach {self.base_url} ({type(error).__name__}: {error})", endpoint=endpoint.path
            ) from error
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

    def _judged(self, endpoint: Endpoint, query: Mapping[str, str], response: httpx.Response) -> Answer:
        """The one place where an answer is found good or named bad; the code outranks the HTTP status."""
        status = response.status_code
        envelope = envelope_of(endpoint, response)
        if envelope is None and status == GATEWAY_TIMEOUT:
            raise self._timed_out(endpoint, f"HTTP {status}")
        if envelope is None or (envelope.code == 0 and status >= httpx.codes.BAD_REQUEST):
            kind = ThrottledError if status == TOO_MANY_REQUESTS else RetryLaterError
            raise kind(f"HTTP {status}", endpoint=endpoint.path)
        if envelope.code != 0:
            raise self._named(endpoint, query, envelope)
        if not isinstance(envelope.data, dict):
            raise ContractError(
                f"data is a {type(envelope.data).__name__}, not an object",
                endpoint=endpoint.path,
                request_id=envelope.request_id,
            )
        return Answer(envelope.data, envelope.request_id, response.headers)

    def _named(self, endpoint: Endpoint, query: Mapping[str, str], envelope: Envelope) -> TikTokError:
        row = error_code(envelope.code)
        kind = BY_CONSEQUENCE[row.consequence]
        if row.consequence == "timeout" and endpoint.punishes_repeats:
            kind = TooLargeError
        message = envelope.message or row.name
        secrets = (self._token, query.get("secret"), query.get("auth_code"))
        for secret in filter(None, secrets):  # a host may quote them back
            message = message.replace(secret, "…")
        return kind(message, endpoint=endpoint.path, code=envelope.code, request_id=envelope.request_id)

    def _timed_out(self, endpoint: Endpoint, message: str) -> TikTokError:
        # An identical report that timed out three times in ten minutes is blocked (section 4.3).
        kind = TooLargeError if endpoint.punishes_repeats else RetryLaterError
        return kind(message, endpoint=endpoint.path)


def _text(value: Parameter) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
