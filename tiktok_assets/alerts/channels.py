"""Send one message to one channel through Apprise and classify the outcome."""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import SecretStr

REPEAT_NOTE = "Possibly a repeat: the first delivery was not confirmed."

_REPEAT_NOTE_MARGIN = 100
"""Room for the note of a repeat."""

_RAW_HOOKS = {"json", "jsons", "form", "forms", "xml", "xmls"}
"""Webhooks somebody's program reads: plain text."""

_SHOWS_MARKDOWN = {"mmost", "mmosts", "zulip", "gitter", "ntfy", "ntfys"}
"""Services Apprise calls plain that show Markdown; they get it as it is."""

_CARDS = {"workflow", "workflows"}
"""Microsoft Teams: cards take 28 kB, of which Apprise allows 1,000 characters, and know no blocks of code."""
_MAX_CARD_LENGTH = 8000

_LOGGERS = (
    "apprise",
    "urllib3.connectionpool",
    "urllib3.connection",
    "urllib3.poolmanager",
    "urllib3.util.retry",
)

SendResult = Literal["delivered", "failed", "unknown"]

_FAILURE_PATTERNS: tuple[tuple[SendResult, str, str], ...] = (
    # An answer is definite.
    ("failed", r"\berror[=:]\s*([1-5]\d\d)\b", "it answered HTTP {}"),
    ("delivered", r"SMTP recipient .* was refused: (\d{3})", "a recipient of the copy was refused ({})"),
    ("failed", r"Socket Exception: (?:\{.*?)?\(([45]\d\d), ", "the mail was refused with {}"),
    # So is what never left this machine.
    ("failed", r"NewConnectionError|Connection refused", "connection refused"),
    ("failed", r"NameResolutionError|Name or service not known|failure in name resolution", "its host is unknown"),
    (
        "failed",
        r"ConnectTimeoutError|^Socket Exception: timed out$|handshake operation timed out",
        "no connection",
    ),
    ("failed", r"CERTIFICATE_VERIFY_FAILED|CertificateError", "its certificate is not accepted"),
    ("failed", r"WRONG_VERSION_NUMBER|UNKNOWN_PROTOCOL|STARTTLS extension not supported", "it speaks no TLS"),
    ("failed", r"Network is unreachable|No route to host", "it cannot be reached"),
    ("failed", r"Connection error while submitting email", "the mail server did not let us in"),
    # The rest of the sockets' troubles may come after the message left.
    ("unknown", r"^Notification Exception: $", "its answer is too large"),  # MemoryError has no text
    ("unknown", r"Socket Exception|[Tt]imed out", "no answer in time, or the connection was cut"),
)
"""What the libraries say when a delivery failed, in the order of certainty, and what that means."""


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """What became of one attempt; the reason is ours, so that it cannot hold a secret."""

    result: SendResult
    reason: str | None = None


def send_message(
    url: SecretStr, target: int | None, message: Mapping[str, Any], *, repeat: bool = False
) -> SendOutcome:
    """Hand one message to one receiver.

    Args:
        url: as Apprise writes them.
        target: which of the URL's recipients; None for a URL that has one.
        message: `title`, the body as `text`, `markdown` and `html`, and `brief`, plain text for small receivers.
        repeat: say in the message that it may have been told before.

    Returns:
        The outcome; `unknown` where the message may have arrived.
    """
    with _capture_logs() as heard:
        try:
            service = create_service(url.get_secret_value(), target)
            if service is None:
                return SendOutcome("failed", "Apprise does not understand the URL")
            if _notify(service, message, repeat=repeat):
                return SendOutcome("delivered")
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything, and its text may show the URL
            return SendOutcome("unknown", f"the plugin raised {type(error).__name__}")
        return classify_failure(heard)


def list_recipients(url: str) -> list[str | None]:
    """The recipients of a URL, each delivered and repeated on its own; [None] where the URL is one receiver."""
    with _capture_logs(), suppress(Exception):
        service = create_service(url)
        targets = getattr(service, "targets", None)
        if service is not None and isinstance(targets, list) and len(targets) == len(service) > 1:
            return [repr(target) for target in targets]
    return [None]


def is_supported_url(url: str) -> bool:
    """Whether Apprise has a plugin that takes a URL; nothing is sent."""
    with _capture_logs(), suppress(Exception):
        return create_service(url) is not None
    return False


def create_service(url: str, target: int | None = None) -> Any:  # noqa: ANN401 - Apprise's plugins share no public type
    """The plugin for a URL, or None; narrowed to one recipient, never retrying by itself."""
    import apprise  # noqa: PLC0415 - a fifth of a second that only a delivery needs

    asset = apprise.AppriseAsset(
        async_mode=False, service_timeout=0, app_id="tiktok_assets", app_desc="TikTok Ads"
    )
    service: Any = apprise.Apprise.instantiate(url, asset=asset)
    if service is None:
        return None
    if target is not None:
        service.targets = service.targets[target : target + 1]
    service.retry, service.optional = 0, False  # the outbox repeats, and knows why
    # A message in pieces could arrive in part, and then be neither delivered nor not.
    service.overflow_mode = apprise.OverflowMode.TRUNCATE
    return service


def classify_failure(heard: list[str]) -> SendOutcome:
    """What a refusal meant, from what the libraries said about it."""
    told = "\n".join(heard)
    for result, words, reason in _FAILURE_PATTERNS:
        if match := re.search(words, told, re.MULTILINE):
            return SendOutcome(result, reason.format(*match.groups()))
    return SendOutcome("failed", "it was refused")


def _notify(service: Any, message: Mapping[str, Any], *, repeat: bool) -> bool:  # noqa: ANN401 - see service_of
    import apprise  # noqa: PLC0415 - as above

    schema = str(service.url(privacy=True)).partition(":")[0].lower()
    formats = _formats(service)
    wanted = apprise.NotifyFormat.TEXT
    if schema in _RAW_HOOKS:
        pass
    elif apprise.NotifyFormat.MARKDOWN in formats:
        wanted = apprise.NotifyFormat.MARKDOWN
    elif apprise.NotifyFormat.HTML in formats:
        wanted = apprise.NotifyFormat.HTML
    chosen = service.resolve_format(wanted)  # a `format=` in the URL wins
    body = str(message[chosen.value])
    if schema in _CARDS:
        service.body_maxlen = _MAX_CARD_LENGTH
        body = re.sub(r"```\n(.*?)\n```", lambda block: _as_list(block[1]), body, flags=re.DOTALL)
    as_is = schema in _SHOWS_MARKDOWN and chosen == apprise.NotifyFormat.TEXT
    if as_is:
        body = str(message["markdown"])
    # Chat has its title in the body, escaped by us; a mail's subject and a webhook's title are plain fields.
    title = "" if as_is or chosen == apprise.NotifyFormat.MARKDOWN else str(message["title"])
    source = None if as_is else chosen
    if len(body) + len(title) + _REPEAT_NOTE_MARGIN > service.body_maxlen:
        body, source = str(message["brief"]), apprise.NotifyFormat.TEXT
    if repeat:
        is_html = source == apprise.NotifyFormat.HTML
        body = (f"<p><b>{REPEAT_NOTE}</b></p>" if is_html else f"{REPEAT_NOTE}\n\n") + body
    caller = apprise.Apprise(asset=service.asset)
    caller.add(service)
    return bool(caller.notify(body, title=title, body_format=source))


def _as_list(block: str) -> str:
    return "\n".join(f"- `{' '.join(line.split())}`" for line in block.splitlines())


def _formats(service: Any) -> tuple[Any, ...]:  # noqa: ANN401 - see service_of
    formats = type(service).notify_format
    return formats if isinstance(formats, tuple) else (formats,)


_captured: ContextVar[list[str] | None] = ContextVar("heard", default=None)


class _CaptureFilter(logging.Filter):
    """Hears what is said while we send, and keeps it from every log, because it names URLs and their secrets."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        heard = _captured.get()
        if heard is None:
            return record.levelno >= self._level
        heard.append(record.getMessage())
        return False


def _install_filters() -> None:
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, _CaptureFilter) for one in logger.filters):
            logger.addFilter(_CaptureFilter(logger.getEffectiveLevel() if name == "apprise" else logging.NOTSET))
        if name == "apprise":
            logger.setLevel(logging.DEBUG)  # the reason of a refusal is told at this level only


@contextmanager
def _capture_logs() -> Iterator[list[str]]:
    _install_filters()
    heard: list[str] = []
    token = _captured.set(heard)
    try:
        yield heard
    finally:
        _captured.reset(token)
