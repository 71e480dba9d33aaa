"""Laws of a sender: whatever a receiver answers, this process keeps its memory and the message gets an outcome."""

import os
import time
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from pydantic import SecretStr

from tiktok_assets.alerts.channels import SendOutcome
from tiktok_assets.alerts.sender_process import NO_OUTCOME, SenderProcess
from tiktok_assets_tests.alerts.fake_channels import Behaviour, respond_with, run_webhook
from tiktok_assets_tests.alerts.sample_alert import build_sample_alert

MESSAGE = build_sample_alert().message
MOST_GROWTH = 20_000_000


def begin(request: BaseHTTPRequestHandler, *headers: tuple[str, str]) -> None:
    """Answer 200 with a body that the connection's end closes."""
    request.send_response(200)
    for name, value in headers:
        request.send_header(name, value)
    request.end_headers()


def endless(request: BaseHTTPRequestHandler) -> None:
    """Answer 200 and never stop."""
    begin(request)
    while True:
        request.wfile.write(b"x" * 1_000_000)


def bomb(request: BaseHTTPRequestHandler) -> None:
    """Answer with 2 GB that take 2 MB on the wire."""
    begin(request, ("Content-Encoding", "gzip"))
    squeezed = zlib.compressobj(9, wbits=31)
    for _ in range(200):
        request.wfile.write(squeezed.compress(bytes(10_000_000)))
    request.wfile.write(squeezed.flush())


def drip(request: BaseHTTPRequestHandler) -> None:
    """Answer a byte at a time, always in time for the next."""
    begin(request)
    while True:
        request.wfile.write(b"x")
        time.sleep(0.2)


def peak() -> int:
    """Return the most memory this process had since `small` began, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


@pytest.fixture
def small() -> Iterator[None]:
    """See that this process does not grow; what other tests once needed says nothing of this one."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is now what is held
    before = peak()
    yield
    assert peak() - before < MOST_GROWTH


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("behaviour", [endless, bomb])
def test_an_answer_without_end_costs_the_sender_only(behaviour: Behaviour) -> None:
    """An answer of more than the bound is an unknown outcome within seconds, and the next message is delivered."""
    began = time.monotonic()
    with run_webhook(behaviour, respond_with(200)) as hook:
        sender = SenderProcess(SecretStr(f"json://127.0.0.1:{hook.port}"), None)
        with sender:
            first = sender.send(MESSAGE)
            second = sender.send(MESSAGE)
    assert first.result == "unknown"
    assert first in {NO_OUTCOME, SendOutcome("unknown", "its answer is too large")}
    assert second == SendOutcome("delivered")
    assert time.monotonic() - began < 30


def test_an_answer_that_drips_ends_with_its_time() -> None:
    """A byte now and then keeps no message for ever, and the process is gone."""
    began = time.monotonic()
    with (
        run_webhook(drip) as hook,
        SenderProcess(SecretStr(f"json://127.0.0.1:{hook.port}"), None, seconds=3) as sender,
    ):
        assert sender.send(MESSAGE) == NO_OUTCOME
        assert sender.send(MESSAGE) == SendOutcome("delivered")
    assert time.monotonic() - began < 20


def test_the_url_is_no_argument() -> None:
    """What anybody on the machine may list of the process has nothing of the receiver's URL."""
    with (
        run_webhook() as hook,
        SenderProcess(SecretStr(f"json://127.0.0.1:{hook.port}/canary-path"), None) as sender,
    ):
        assert sender.send(MESSAGE) == SendOutcome("delivered")
        shown = b""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) == os.getpid():
                    shown += (process / "cmdline").read_bytes()
            except OSError:  # it has ended meanwhile
                continue
        assert b"tiktok_assets.alerts.sender_process" in shown
        assert b"canary" not in shown
