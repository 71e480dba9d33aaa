"""Deliver due alerts to every channel and record the outcome of each attempt.

Delivery is at least once. A success is never repeated. A definite failure is retried with backoff and given up
after about three days. An unknown outcome (no response in time, or the process was killed while sending) is
retried once, marked as a possible repeat, and then counted as delivered without confirmation.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
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
from tiktok_assets.alerts.sender_process import SenderProcess
from tiktok_assets.file_permissions import create_private_folder, write_private_file
from tiktok_assets.storage.state import State, outbox, utc_now

PAGE_TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,"><title>{title}</title></head>
<body style="margin:24px auto;max-width:640px;padding:0 12px"><main>{body}</main></body></html>
"""


def write_alert_files(folder: Path, alert_id: str, kind: str, message: Mapping[str, Any]) -> Path:
    """Write `<alert_id>.html` and `<alert_id>.json`, each whole or not at all; twice equals once.

    Args:
        folder: created for its owner alone, as are the files.
        alert_id: letters, digits, `-`, `_`; anything else is replaced in the file's name.
        kind: as in the outbox.
        message: as in the outbox.

    Raises:
        OSError: if the folder cannot be written.
    """
    name = "".join(one if one.isascii() and (one.isalnum() or one in "-_") else "_" for one in alert_id)
    create_private_folder(folder)
    data = {"alert_id": alert_id, "kind": kind, **message}
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    write_private_file(folder / f"{name}.json", text.encode(errors="replace"))
    page = folder / f"{name}.html"
    html = PAGE_TEMPLATE.format(title=escape(str(message["title"])), body=message["html"])
    write_private_file(page, html.encode(errors="replace"))
    return page


SEND_TIMEOUT_SECONDS = 10.0
"""How long one hand-over may take; past it the outcome is unknown."""
DELIVERY_TIMEOUT_SECONDS = 20.0
"""How long one drain may take, whatever the receivers do."""


@dataclass(slots=True)
class DeliveryReport:
    """What one drain did, and what is left."""

    delivered: int = 0
    unconfirmed: int = 0
    failed: int = 0
    given_up: int = 0
    given_up_before: int = 0
    waiting: int = 0
    strangers: int = 0
    reasons: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def happened(self) -> bool:
        """Whether there was anything to do, or is."""
        return bool(self.delivered or self.unconfirmed or self.failed or self.waiting or self.strangers)

    def __str__(self) -> str:
        if not self.happened and not self.given_up_before:
            return "No alert is due."
        told = [f"{self.delivered} delivered"]
        told += [f"{self.unconfirmed} not confirmed"] if self.unconfirmed else []
        told += [f"{self.failed} failed"] if self.failed else []
        told += [f"{self.given_up} given up"] if self.given_up else []
        told += [f"{self.given_up_before} given up before"] if self.given_up_before else []
        told += [f"{self.waiting} waiting"] if self.waiting else []
        if self.strangers:
            told.append(f"{self.strangers} kept for receivers that TIKTOK_ALERT_URLS no longer names")
        reasons = "".join(f" {name}: {reason}." for name, reason in self.reasons.items())
        return f"Alerts: {', '.join(told)}.{reasons}"


def deliver(
    state: State,
    destinations: Sequence[Channel],
    folder: Path,
    *,
    now: Callable[[], datetime] = utc_now,
    drain_seconds: float = DELIVERY_TIMEOUT_SECONDS,
    send_seconds: float = SEND_TIMEOUT_SECONDS,
) -> DeliveryReport:
    """Hand over what is due, each destination on its own, within `drain_seconds`.

    Args:
        state: holds the outbox.
        destinations: who is configured, see `destinations_of`; rows for others are kept.
        folder: where every alert is written as a file.
        now: an aware clock.
        drain_seconds: after this long what hangs is left behind, its outcome unknown.
        send_seconds: what one hand-over may need; none is begun with less time left.

    Returns:
        What was done in this call, and what waits.

    Raises:
        SQLAlchemyError: if the state fails; rows that were being sent count as unknown later.
    """
    began = time.monotonic()
    told = DeliveryReport()
    last_start = began + drain_seconds - send_seconds
    workers = [
        _ChannelWorker(state, destination, folder=folder, now=now, told=told, last_start=last_start)
        for destination in [None, *destinations]
    ]
    busy = find_due_channel_keys(state, now())
    for worker in workers:
        if worker.key in busy:
            worker.start()
    for worker in workers:
        if worker.is_started:
            worker.finish_by(began + drain_seconds)
    _count_undelivered(state, {worker.key for worker in workers}, told)
    return told


class _ChannelWorker:
    """Hands the rows of one destination over, one after the other, on a thread of its own."""

    def __init__(
        self,
        state: State,
        destination: Channel | None,
        *,
        folder: Path,
        now: Callable[[], datetime],
        told: DeliveryReport,
        last_start: float,
    ) -> None:
        self.key = destination.key if destination else FOLDER_KEY
        self._name = destination.name if destination else "the folder of alerts"
        self._state, self._destination, self._folder, self._now = state, destination, folder, now
        self._told, self._last_start = told, last_start
        self._claim: Claim | None = None
        self._lock, self._left_behind = threading.Lock(), False
        # A daemon: a receiver that trickles bytes must not keep the process alive; its sender ends by itself.
        self._thread = threading.Thread(target=self._work, name=f"alerts-{self.key[:8]}", daemon=True)

    @property
    def is_started(self) -> bool:
        """Whether there was something to do."""
        return self._thread.ident is not None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish_by(self, deadline: float) -> None:
        """Wait, and then leave the thread behind: what it holds has an unknown outcome."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            if self._claim:
                self._left_behind = True
                result: SendResult = "unknown" if self._destination else "failed"
                self._record(self._claim, SendOutcome(result, "it did not answer in time"))

    def _work(self) -> None:
        if self._destination is None:
            self._hand_over_all(self._write)
            return
        with SenderProcess(self._destination.url, self._destination.target) as sender:
            self._hand_over_all(lambda claim: sender.send(claim.message, repeat=claim.repeat))

    def _hand_over_all(self, hand_over: Callable[[Claim], SendOutcome]) -> None:
        try:
            while time.monotonic() < self._last_start:
                with self._lock:
                    claim = self._claim = claim_next(self._state, self.key, self._now(), self._give_up)
                if claim is None:
                    return
                outcome = hand_over(claim)
                with self._lock:
                    self._claim = None
                    if self._left_behind:
                        if outcome.result == "delivered":
                            record_outcome(self._state, claim, outcome, self._now())
                        return
                    self._record(claim, outcome)
                if outcome.result != "delivered":
                    return  # a receiver in trouble gets the next one in the next drain
        except sa.exc.SQLAlchemyError as error:
            self._told.reasons[self._name] = f"the state failed ({type(error).__name__})"

    def _write(self, claim: Claim) -> SendOutcome:
        try:
            write_alert_files(self._folder, claim.alert_id, claim.kind, claim.message)
        except OSError as error:
            return SendOutcome("failed", f"it cannot be written ({type(error).__name__})")
        return SendOutcome("delivered")

    def _record(self, claim: Claim, outcome: SendOutcome) -> None:
        status = record_outcome(self._state, claim, outcome, self._now())
        with self._told.lock:
            self._told.delivered += status == DELIVERED
            self._told.unconfirmed += outcome.result == "unknown"
            self._told.failed += outcome.result == "failed"
            self._told.given_up += status == GIVEN_UP
            if outcome.reason:
                self._told.reasons[self._name] = outcome.reason

    def _give_up(self) -> None:
        with self._told.lock:
            self._told.unconfirmed += 1
            self._told.reasons[self._name] = "a second delivery was not confirmed either"


def _count_undelivered(state: State, keys: set[str], told: DeliveryReport) -> None:
    count = sa.select(outbox.c.destination, outbox.c.status, sa.func.count())
    left = count.where(outbox.c.status.in_((WAITING, SENDING, GIVEN_UP)))
    with state.transaction() as connection:
        for key, status, rows in connection.execute(left.group_by(outbox.c.destination, outbox.c.status)):
            told.given_up_before += rows * (status == GIVEN_UP)
            told.waiting += rows * (status != GIVEN_UP and key in keys)
            told.strangers += rows * (status != GIVEN_UP and key not in keys)
    told.given_up_before -= told.given_up
