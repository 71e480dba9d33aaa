"""The receivers of alerts: an Apprise service in this process that keeps messages, refuses, or answers nothing."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, Literal

from apprise.decorators import notify
from pydantic import SecretStr

from tiktok_assets.alerts.channels import REPEAT_NOTE, SendOutcome, send_message
from tiktok_assets.alerts.sender_process import NO_OUTCOME, SenderProcess
from tiktok_assets_tests.simulation.process import Process, as_simulator, current_process
from tiktok_assets_tests.simulation.virtual_time import VirtualClock

SCHEME = "simulated"
URLS = (f"{SCHEME}://marketing", f"{SCHEME}://agency/?format=markdown")
ALERT_ID = re.compile(r"\b[0-9a-f]{16}\b")
APPROVAL_CODE = re.compile(r"\b[A-Z2-7]{6}(?:-[A-Z2-7]{6}){3}\b")

Behaviour = Literal["keep", "refuse", "lose", "keep without answer"]


@dataclass
class Message:
    """A message that a receiver has got."""

    receiver: str
    text: str
    is_marked: bool
    at: datetime
    process: Process | None
    is_confirmed: bool = False
    is_handled: bool = False

    @property
    def is_doubtful(self) -> bool:
        """Whether its sender cannot know for certain, or could not keep, that it has arrived."""
        lost = self.process and (self.process.is_dead or self.process.refused_for_space)
        return not self.is_confirmed or bool(lost)

    @property
    def ids(self) -> set[str]:
        """The alert ids in it."""
        return set(ALERT_ID.findall(self.text))


@dataclass
class Receivers:
    """All receivers, with the messages they have got.

    Attributes:
        random: decides how a receiver behaves.
        clock: moved by the time that a message takes.
        rates: the probability of each misbehaviour.
        messages: in the order of their arrival.
    """

    random: Random
    clock: VirtualClock
    rates: dict[Behaviour, float] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    _next: Behaviour = "keep"
    _process: Process | None = None

    def choose_behaviour(self) -> Behaviour:
        """Draw how the receiver treats the next message."""
        drawn = self.random.random()
        for behaviour, rate in self.rates.items():
            drawn -= rate
            if drawn < 0:
                self.fired[f"receiver: {behaviour}"] += 1
                return behaviour
        return "keep"

    def receive(self, receiver: str, title: str, body: str) -> bool:
        """Receive a message as the service does; return whether it is accepted."""
        if self._next == "refuse":
            return False
        if self._next != "lose":
            self.messages.append(
                Message(receiver, f"{title}\n{body}", REPEAT_NOTE in body, self.clock.now(), self._process)
            )
        return True

    def send(self, send: Callable[[], SendOutcome]) -> SendOutcome:
        """Send one message, with the faults of its receiver; the process may be killed before or after."""
        process = current_process()
        if process:
            process.reach("send")
        self.clock.advance(self.random.uniform(0.1, 1.5))
        self._process = process
        self._next = self.choose_behaviour()
        before = len(self.messages)
        outcome = send()
        if process:
            process.reach("sent")
        if self._next in {"lose", "keep without answer"}:
            return NO_OUTCOME
        if len(self.messages) > before:
            self.messages[-1].is_confirmed = True
        return outcome


_receivers: list[Receivers] = []


@notify(on=SCHEME)  # type: ignore[no-untyped-call,untyped-decorator] # Apprise's own
def _receive(body: str, title: str, _kind: str, *_: Any, meta: Mapping[str, Any], **__: Any) -> bool:  # noqa: ANN401 - as Apprise passes it
    return _receivers[-1].receive(str(meta.get("host")), title, body)


def connect(receivers: Receivers) -> None:
    """Let these be the receivers from now on."""
    _receivers[:] = [receivers]


class SimulatedSender(SenderProcess):
    """Sends in this process, to the receivers of the simulation."""

    def send(
        self,
        url: SecretStr,
        recipient_index: int | None,
        payload: Mapping[str, Any],
        *,
        repeat: bool = False,
        picture: Path | None = None,
    ) -> SendOutcome:
        """Send one message."""

        def send() -> SendOutcome:
            with as_simulator():
                return send_message(url, recipient_index, payload, repeat=repeat, picture=picture)

        return _receivers[-1].send(send)
