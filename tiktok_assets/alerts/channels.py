"""Send one message to one channel through Apprise and classify the outcome."""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr

REPEAT_NOTE = "Possible duplicate: the first delivery was not confirmed."

_REPEAT_NOTE_MARGIN = 100
"""Characters reserved for the repeat note."""

_RAW_HOOKS = {"json", "jsons", "form", "forms", "xml", "xmls"}
"""Webhooks that a program reads: plain text."""

_SHOWS_MARKDOWN = {"mmost", "mmosts", "zulip", "gitter", "ntfy", "ntfys"}
"""Services that Apprise lists as plain text but that render Markdown; they get the Markdown unconverted."""

_CARDS = {"workflow", "workflows"}
"""Microsoft Teams: cards take 28 kB, of which Apprise allows 1,000 characters, and render no code blocks."""
_MAX_CARD_LENGTH = 8000

_WITH_PICTURE = _RAW_HOOKS | {
    *("mailto", "mailtos", "pover"),
    *("brevo", "mailersend", "mailgun", "postmark", "resend", "sendgrid", "ses", "smtp2go", "sparkpost"),
}
"""Services that Apprise sends message and attachment in one request."""

_PICTURE_ALONE = {"discord", "tgram", "ntfy", "ntfys"}
_PICTURE_AFTER = _PICTURE_ALONE | {
    *("slack", "mmost", "mmosts", "wxteams", "webex", "matrix", "matrixs", "signal", "signals", "pbul"),
    *("fluxer", "fluxers", "azure", "o365"),
}
"""Services that get the picture after the message, the first ones without any text.

Most of them need several requests, of which the one with the picture could fail after the message has arrived; the
attempt would count as failed and be repeated. What is not listed goes without: a fax, a text message.
"""
_PICTURE_TEXT = "The picture of the alert above."
_BOT_ONLY = {"slack", "mmost", "mmosts", "wxteams", "webex"}
"""Services whose webhooks take no attachments, in contrast to their bots."""

_NOT_ABOUT_PICTURE = re.compile(r"HTTP status (?:401|403|404|408|429|5\d\d)$")
"""Refusals of an HTTP service that a message without picture would have too."""

_LOGGERS = (
    "apprise",
    "urllib3.connectionpool",
    "urllib3.connection",
    "urllib3.poolmanager",
    "urllib3.util.retry",
)

SendResult = Literal["delivered", "failed", "unknown"]

_FAILURE_PATTERNS: tuple[tuple[SendResult, str, str], ...] = (
    # A response is definite.
    ("failed", r"\berror[=:]\s*([1-5]\d\d)\b", "HTTP status {}"),
    ("delivered", r"SMTP recipient .* was refused: (\d{3})", "a copy recipient was refused ({})"),
    ("failed", r"Socket Exception: (?:\{.*?)?\(([45]\d\d), ", "the mail server refused the message with {}"),
    # So is a message that never left this machine.
    ("failed", r"NewConnectionError|Connection refused", "connection refused"),
    ("failed", r"NameResolutionError|Name or service not known|failure in name resolution", "host name not found"),
    (
        "failed",
        r"ConnectTimeoutError|^Socket Exception: timed out$|handshake operation timed out",
        "connection timed out",
    ),
    ("failed", r"CERTIFICATE_VERIFY_FAILED|CertificateError", "TLS certificate not accepted"),
    ("failed", r"WRONG_VERSION_NUMBER|UNKNOWN_PROTOCOL|STARTTLS extension not supported", "no TLS support"),
    ("failed", r"Network is unreachable|No route to host", "host unreachable"),
    ("failed", r"Connection error while submitting email", "the mail server refused the connection"),
    # Other socket errors may come after the message left.
    ("unknown", r"^Notification Exception: $", "the response is too large"),  # MemoryError has no text
    ("unknown", r"Socket Exception|[Tt]imed out", "no response in time, or the connection was closed"),
)
"""Log messages of the libraries after a failure, the most certain first, with result and reason."""


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """The outcome of one attempt; the reason is one of our own texts, so it cannot contain a secret.

    Attributes:
        result: what became of the message.
        reason: of a failure.
        picture_waits: whether the message was delivered and its picture is to follow, see `send_picture`.
    """

    result: SendResult
    reason: str | None = None
    picture_waits: bool = False


def send_message(
    url: SecretStr,
    recipient_index: int | None,
    payload: Mapping[str, Any],
    *,
    repeat: bool = False,
    picture: Path | None = None,
) -> SendOutcome:
    """Send one message to one channel, with its picture if the service takes both in one request.

    A message that is refused with its picture is sent without it at once; one whose outcome is unknown is not.

    Args:
        url: an Apprise URL.
        recipient_index: index of the recipient among those of the URL; None for a URL with one recipient.
        payload: `title`, the body as `text`, `markdown` and `html`, and for channels that take less, `compact`
            (Markdown) and `brief` (plain text).
        repeat: add a note that the message may have been delivered before.
        picture: its file, if there is one.

    Returns:
        The outcome; `unknown` where the message may have arrived.
    """
    with _capture_logs() as captured:
        try:
            service = create_service(url.get_secret_value(), recipient_index)
            if service is None:
                return SendOutcome("failed", "Apprise does not support the URL")
            schema = _get_schema(service)
            if picture and service.attachment_support and schema in _WITH_PICTURE:
                if _notify(service, payload, repeat=repeat, attachment=_open_picture(picture, payload)):
                    return SendOutcome("delivered")
                outcome = classify_failure(captured)
                if not _is_about_picture(outcome):
                    return outcome
                captured.clear()
            if _notify(service, payload, repeat=repeat):
                return SendOutcome("delivered", picture_waits=bool(picture) and _takes_picture_after(service))
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything, and its text may contain the URL
            return SendOutcome("unknown", f"the plugin raised {type(error).__name__}")
        return classify_failure(captured)


def send_picture(
    url: SecretStr, recipient_index: int | None, payload: Mapping[str, Any], picture: Path | None
) -> SendOutcome:
    """Send the picture of a message that was delivered, as a message of its own; a failure changes nothing."""
    with _capture_logs() as captured:
        try:
            service = create_service(url.get_secret_value(), recipient_index)
            attachment = _open_picture(picture, payload) if picture else None
            if service is None or attachment is None:
                return SendOutcome("failed", "the picture is missing")
            body = "" if _get_schema(service) in _PICTURE_ALONE else _PICTURE_TEXT
            if _call(service, body, "", None, attachment):
                return SendOutcome("delivered")
        except Exception as error:  # noqa: BLE001 - as in send_message
            return SendOutcome("unknown", f"the plugin raised {type(error).__name__}")
        return classify_failure(captured)


def _is_about_picture(outcome: SendOutcome) -> bool:
    """Return whether a message failed, for certain, for a reason that its picture may have caused."""
    reason = outcome.reason or ""
    is_refusal = reason.startswith(("HTTP status", "the mail server refused", "rejected"))
    return outcome.result == "failed" and is_refusal and not _NOT_ABOUT_PICTURE.match(reason)


def _takes_picture_after(service: Any) -> bool:  # noqa: ANN401 - see create_service
    schema = _get_schema(service)
    is_bot = schema not in _BOT_ONLY or service.mode == "bot"
    return bool(service.attachment_support) and schema in _PICTURE_AFTER and is_bot


def _open_picture(picture: Path, payload: Mapping[str, Any]) -> Any:  # noqa: ANN401 - see create_service
    """Return the picture as Apprise's attachment; None if its file is missing."""
    import apprise  # noqa: PLC0415 - as in create_service
    from apprise.attachment import file  # noqa: PLC0415 - the same

    open_file: Any = file.AttachFile  # Apprise gives it no types
    attachment = open_file(str(picture), name=str(payload["picture"]["file_name"]), mimetype="image/png")
    return apprise.AppriseAttachment(attachment) if attachment.exists() else None


def _get_schema(service: Any) -> str:  # noqa: ANN401 - see create_service
    return str(service.url(privacy=True)).partition(":")[0].lower()


def list_recipients(url: str) -> list[str | None]:
    """List the recipients of a URL, each delivered to on its own; [None] where the URL has one recipient."""
    with _capture_logs(), suppress(Exception):
        service = create_service(url)
        targets = getattr(service, "targets", None)
        if service is not None and isinstance(targets, list) and len(targets) == len(service) > 1:
            return [repr(target) for target in targets]
    return [None]


def is_supported_url(url: str) -> bool:
    """Return whether Apprise has a plugin for a URL; nothing is sent."""
    with _capture_logs(), suppress(Exception):
        return create_service(url) is not None
    return False


def create_service(url: str, recipient_index: int | None = None) -> Any:  # noqa: ANN401 - Apprise's plugins share no public type
    """Create Apprise's plugin for a URL, limited to one recipient and without retries; None if there is none."""
    import apprise  # noqa: PLC0415 - takes a fifth of a second that only a delivery needs

    asset = apprise.AppriseAsset(
        async_mode=False, service_timeout=0, app_id="tiktok_assets", app_desc="TikTok Ads"
    )
    service: Any = apprise.Apprise.instantiate(url, asset=asset)
    if service is None:
        return None
    if recipient_index is not None:
        service.targets = service.targets[recipient_index : recipient_index + 1]
    service.retry, service.optional = 0, False  # the outbox retries, and needs the true outcome
    # A split message could arrive in part, which would be neither a success nor a failure.
    service.overflow_mode = apprise.OverflowMode.TRUNCATE
    return service


def classify_failure(captured: list[str]) -> SendOutcome:
    """Classify a failed attempt by the log messages of the libraries."""
    text = "\n".join(captured)
    for result, pattern, reason in _FAILURE_PATTERNS:
        if match := re.search(pattern, text, re.MULTILINE):
            return SendOutcome(result, reason.format(*match.groups()))
    return SendOutcome("failed", "rejected without a reason")


def _notify(
    service: Any,  # noqa: ANN401 - see create_service
    payload: Mapping[str, Any],
    *,
    repeat: bool,
    attachment: Any = None,  # noqa: ANN401 - the same
) -> bool:
    import apprise  # noqa: PLC0415 - as above

    schema = _get_schema(service)
    formats = _list_formats(service)
    wanted = apprise.NotifyFormat.TEXT
    if schema in _RAW_HOOKS:
        pass
    elif apprise.NotifyFormat.MARKDOWN in formats:
        wanted = apprise.NotifyFormat.MARKDOWN
    elif apprise.NotifyFormat.HTML in formats:
        wanted = apprise.NotifyFormat.HTML
    chosen = service.resolve_format(wanted)  # `format=` in the URL takes precedence
    body = str(payload[chosen.value])
    if schema in _CARDS:
        service.body_maxlen = _MAX_CARD_LENGTH
        body = re.sub(r"```\n(.*?)\n```", lambda block: _format_list(block[1]), body, flags=re.DOTALL)
    as_is = schema in _SHOWS_MARKDOWN and chosen == apprise.NotifyFormat.TEXT
    if as_is:
        body = str(payload["markdown"])
    # A chat message has its title in the escaped body; a mail's subject and a webhook's title are plain fields.
    title = "" if as_is or chosen == apprise.NotifyFormat.MARKDOWN else str(payload["title"])
    source = None if as_is else chosen
    max_length = service.body_maxlen - len(title) - _REPEAT_NOTE_MARGIN
    if len(body) > max_length and (as_is or chosen == apprise.NotifyFormat.MARKDOWN):
        body = str(payload.get("compact") or body)  # an alert of an earlier release has none
    if len(body) > max_length:
        body, source = str(payload["brief"]), apprise.NotifyFormat.TEXT
    if repeat:
        is_html = source == apprise.NotifyFormat.HTML
        body = (f"<p><b>{REPEAT_NOTE}</b></p>" if is_html else f"{REPEAT_NOTE}\n\n") + body
    return _call(service, body, title, source, attachment)


def _call(service: Any, body: str, title: str, source: Any, attachment: Any) -> bool:  # noqa: ANN401 - see create_service
    import apprise  # noqa: PLC0415 - as above

    caller = apprise.Apprise(asset=service.asset)
    caller.add(service)
    return bool(caller.notify(body, title=title, body_format=source, attach=attachment))


def _format_list(block: str) -> str:
    return "\n".join(f"- `{' '.join(line.split())}`" for line in block.splitlines())


def _list_formats(service: Any) -> tuple[Any, ...]:  # noqa: ANN401 - see create_service
    formats = type(service).notify_format
    return formats if isinstance(formats, tuple) else (formats,)


_captured: ContextVar[list[str] | None] = ContextVar("captured", default=None)


class _CaptureFilter(logging.Filter):
    """Capture log messages, which contain secret URLs, while a message is sent, and keep them out of every log."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        captured = _captured.get()
        if captured is None:
            return record.levelno >= self._level
        captured.append(record.getMessage())
        return False


def _install_filters() -> None:
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, _CaptureFilter) for one in logger.filters):
            logger.addFilter(_CaptureFilter(logger.getEffectiveLevel() if name == "apprise" else logging.NOTSET))
        if name == "apprise":
            logger.setLevel(logging.DEBUG)  # the reason of a failure is logged at this level only


@contextmanager
def _capture_logs() -> Iterator[list[str]]:
    _install_filters()
    captured: list[str] = []
    token = _captured.set(captured)
    try:
        yield captured
    finally:
        _captured.reset(token)
