"""Deliver due alerts to every channel and record the outcome of each attempt.

Delivery is at least once. A success is never repeated. A definite failure is retried with backoff and given up
after about three days. An unknown outcome (no response in time, or the process was killed while sending) is
retried once, marked as a possible duplicate, and then counted as delivered without confirmation.
"""

import json
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tiktok_assets.alerts.channels import SendOutcome, SendResult
from tiktok_assets.alerts.outbox import (
    DELIVERED,
    FOLDER_KEY,
    GIVEN_UP,
    SENDING,
    WAITING,
    Channel,
    Claim,
    claim_next,
    find_due_channel_keys,
    record_outcome,
)
from tiktok_assets.alerts.picture import picture_path, safe_file_name
from tiktok_assets.alerts.sender_process import SenderProcess
from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.file_permissions import create_private_folder, write_private_file
from tiktok_assets.storage import State, outbox, utc_now

SEND_TIMEOUT_SECONDS = 10.0
"""How long one attempt may take; after that its outcome is unknown."""
DELIVERY_TIMEOUT_SECONDS = 20.0
"""How long one call of `deliver` may take, whatever the channels do."""

ALERTS_FOLDER = "alerts"
"""The folder of `TIKTOK_STATE_DIR` with the files of all alerts."""

MAX_ATTEMPTS_WITH_PICTURE = 3
"""Later attempts leave the picture out, because it may be what the service fails with."""

PAGE_TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,"><title>{title}</title></head>
<body style="margin:24px auto;max-width:640px;padding:0 12px"><main>{picture}{body}</main></body></html>
"""


_PICTURE_STYLE = "display:block;box-sizing:border-box;width:100%;border:1px solid #e3e7ee;border-radius:8px"


def write_alert_files(folder: Path, alert_id: str, kind: str, payload: Mapping[str, Any]) -> Path:
    """Write `<alert_id>.html` and `<alert_id>.json`, each atomically; writing twice gives the same files.

    The page contains the alert's picture if its file is in the folder.

    Args:
        folder: created with access for its owner only, as are the files.
        alert_id: letters, digits, `-`, `_`; anything else is replaced in the file names.
        kind: as in the outbox.
        payload: as in the outbox.

    Returns:
        The path of the page.

    Raises:
        OSError: if the folder cannot be written.
    """
    name = safe_file_name(alert_id)
    create_private_folder(folder)
    data = {"alert_id": alert_id, "kind": kind, **payload}
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    write_private_file(folder / f"{name}.json", text.encode(errors="replace"))
    page = folder / f"{name}.html"
    html = PAGE_TEMPLATE.format(
        title=escape(str(payload["title"])),
        picture=_embed_picture(folder, alert_id, payload),
        body=payload["html"],
    )
    write_private_file(page, html.encode(errors="replace"))
    return page


def _embed_picture(folder: Path, alert_id: str, payload: Mapping[str, Any]) -> str:
    """Return the alert's picture as HTML; "" if it has none or its file is missing, as on another host."""
    picture = payload.get("picture")
    if not picture:
        return ""
    try:
        content = b64encode(picture_path(folder, alert_id).read_bytes()).decode()
    except OSError:
        return ""
    alt = escape(escape_control_characters(str(picture["alt"])))
    return f'<p><img src="data:image/png;base64,{content}" alt="{alt}" style="{_PICTURE_STYLE}"></p>'


@dataclass(slots=True)
class DeliveryReport:
    """What one call of `deliver` did, and what is left.

    Attributes:
        delivered: rows delivered.
        unconfirmed: attempts with an unknown outcome.
        failed: attempts that failed.
        given_up: rows given up in this call.
        given_up_before: rows given up in earlier calls.
        waiting: rows to be tried again.
        unconfigured: rows for channels that are no longer configured.
        reasons: the last reason by name of the channel.
        lock: held while the counts are changed.
    """

    delivered: int = 0
    unconfirmed: int = 0
    failed: int = 0
    given_up: int = 0
    given_up_before: int = 0
    waiting: int = 0
    unconfigured: int = 0
    reasons: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def had_work(self) -> bool:
        """Whether anything was attempted or is left to deliver."""
        return bool(self.delivered or self.unconfirmed or self.failed or self.waiting or self.unconfigured)

    def __str__(self) -> str:
        if not self.had_work and not self.given_up_before:
            return "No alert is due."
        counts = [f"{self.delivered} delivered"]
        counts += [f"{self.unconfirmed} not confirmed"] if self.unconfirmed else []
        counts += [f"{self.failed} failed"] if self.failed else []
        counts += [f"{self.given_up} given up"] if self.given_up else []
        counts += [f"{self.given_up_before} given up before"] if self.given_up_before else []
        counts += [f"{self.waiting} waiting"] if self.waiting else []
        if self.unconfigured:
            counts.append(f"{self.unconfigured} kept for channels that are no longer in TIKTOK_ALERT_URLS")
        reasons = "".join(f" {name}: {reason}." for name, reason in self.reasons.items())
        return f"Alerts: {', '.join(counts)}.{reasons}"


def deliver(
    state: State,
    channels: Sequence[Channel],
    folder: Path,
    *,
    now: Callable[[], datetime] = utc_now,
    timeout_seconds: float = DELIVERY_TIMEOUT_SECONDS,
    send_timeout_seconds: float = SEND_TIMEOUT_SECONDS,
    open_sender: Callable[[], AbstractContextManager[SenderProcess]] = SenderProcess,
) -> DeliveryReport:
    """Deliver what is due, each channel on a thread of its own, within `timeout_seconds`.

    Args:
        state: contains the outbox.
        channels: the configured channels, see `list_channels`; rows for others are kept.
        folder: where every alert is written as files.
        now: an aware clock.
        timeout_seconds: after this long pending attempts are abandoned with an unknown outcome.
        send_timeout_seconds: what one attempt may need; none is started with less time left.
        open_sender: opens the process that sends the messages of one channel; by default one of its own, which
            ends with the delivery.

    Returns:
        What was done in this call, and what is left.

    Raises:
        SQLAlchemyError: if the state database fails; rows that were being sent count as unknown later.
    """
    started = time.monotonic()
    report = DeliveryReport()
    last_start = started + timeout_seconds - send_timeout_seconds
    workers = [
        _ChannelWorker(
            state,
            channel,
            folder=folder,
            now=now,
            report=report,
            last_start=last_start,
            open_sender=open_sender,
        )
        for channel in [None, *channels]
    ]
    due = find_due_channel_keys(state, now())
    for worker in workers:
        if worker.key in due:
            worker.start()
    for worker in workers:
        if worker.is_started:
            worker.finish_by(started + timeout_seconds)
    _count_undelivered(state, {worker.key for worker in workers}, report)
    return report


class _ChannelWorker:
    """Delivers the rows of one channel, or of the folder, one after the other on a thread of its own."""

    def __init__(
        self,
        state: State,
        channel: Channel | None,
        *,
        folder: Path,
        now: Callable[[], datetime],
        report: DeliveryReport,
        last_start: float,
        open_sender: Callable[[], AbstractContextManager[SenderProcess]],
    ) -> None:
        self.key = channel.key if channel else FOLDER_KEY
        self._name = channel.name if channel else "the folder of alerts"
        self._state, self._channel, self._folder, self._now = state, channel, folder, now
        self._report, self._last_start, self._open_sender = report, last_start, open_sender
        self._claim: Claim | None = None
        self._lock, self._is_abandoned = threading.Lock(), False
        # A daemon, because a slow response must not keep the process alive; the sender process ends by itself.
        self._thread = threading.Thread(target=self._work, name=f"alerts-{self.key[:8]}", daemon=True)

    @property
    def is_started(self) -> bool:
        """Whether the thread was started."""
        return self._thread.ident is not None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def finish_by(self, deadline: float) -> None:
        """Wait until the deadline, then abandon the thread and record its claim with an unknown outcome."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            if self._claim:
                self._is_abandoned = True
                result: SendResult = "unknown" if self._channel else "failed"
                self._record(self._claim, SendOutcome(result, "no response in time"))

    def _work(self) -> None:
        if self._channel is None:
            self._deliver_all(self._write)
            return
        url, recipient_index = self._channel.url, self._channel.recipient_index
        with self._open_sender() as sender:

            def _send(claim: Claim) -> SendOutcome:
                picture = self._find_picture(claim)
                return sender.send(url, recipient_index, claim.payload, repeat=claim.repeat, picture=picture)

            def _send_picture(claim: Claim) -> None:
                sender.send_picture(url, recipient_index, claim.payload, self._find_picture(claim))

            self._deliver_all(_send, _send_picture)

    def _find_picture(self, claim: Claim) -> Path | None:
        """Return the file of an alert's picture; None if this attempt goes without."""
        is_left_out = (
            claim.repeat or claim.attempts > MAX_ATTEMPTS_WITH_PICTURE or not claim.payload.get("picture")
        )
        path = picture_path(self._folder, claim.alert_id).absolute()
        return None if is_left_out or not path.is_file() else path

    def _deliver_all(
        self, send: Callable[[Claim], SendOutcome], send_picture: Callable[[Claim], None] | None = None
    ) -> None:
        try:
            while time.monotonic() < self._last_start:
                with self._lock:
                    claim = self._claim = claim_next(self._state, self.key, self._now(), self._count_unconfirmed)
                if claim is None:
                    return
                outcome = send(claim)
                with self._lock:
                    self._claim = None
                    if self._is_abandoned:
                        if outcome.result == "delivered":
                            record_outcome(self._state, claim, outcome, self._now())
                        return
                    self._record(claim, outcome)
                if outcome.result != "delivered":
                    return  # a failing channel gets its next row in the next call
                if outcome.picture_waits and send_picture:
                    send_picture(claim)  # the message is recorded as delivered, so it is not sent again
        except sa.exc.SQLAlchemyError as error:
            self._report.reasons[self._name] = f"the state database failed ({type(error).__name__})"

    def _write(self, claim: Claim) -> SendOutcome:
        try:
            write_alert_files(self._folder, claim.alert_id, claim.kind, claim.payload)
        except OSError as error:
            return SendOutcome("failed", f"cannot be written ({type(error).__name__})")
        return SendOutcome("delivered")

    def _record(self, claim: Claim, outcome: SendOutcome) -> None:
        status = record_outcome(self._state, claim, outcome, self._now())
        with self._report.lock:
            self._report.delivered += status == DELIVERED
            self._report.unconfirmed += outcome.result == "unknown"
            self._report.failed += outcome.result == "failed"
            self._report.given_up += status == GIVEN_UP
            if outcome.reason:
                self._report.reasons[self._name] = outcome.reason

    def _count_unconfirmed(self) -> None:
        with self._report.lock:
            self._report.unconfirmed += 1
            self._report.reasons[self._name] = "the second delivery was not confirmed either"


def _count_undelivered(state: State, keys: set[str], report: DeliveryReport) -> None:
    count = sa.select(outbox.c.destination, outbox.c.status, sa.func.count())
    undelivered = count.where(outbox.c.status.in_((WAITING, SENDING, GIVEN_UP)))
    with state.transaction() as connection:
        for key, status, rows in connection.execute(undelivered.group_by(outbox.c.destination, outbox.c.status)):
            report.given_up_before += rows * (status == GIVEN_UP)
            report.waiting += rows * (status != GIVEN_UP and key in keys)
            report.unconfigured += rows * (status != GIVEN_UP and key not in keys)
    report.given_up_before -= report.given_up
