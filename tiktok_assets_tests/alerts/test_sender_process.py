"""Tests of the sender process: whatever the response, this process stays small and each message has an outcome."""

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

PAYLOAD = build_sample_alert().payload
MAX_GROWTH_BYTES = 20_000_000


def start_response(request: BaseHTTPRequestHandler, *headers: tuple[str, str]) -> None:
    """Respond with 200 and a body that ends with the connection."""
    request.send_response(200)
    for name, value in headers:
        request.send_header(name, value)
    request.end_headers()


def respond_endlessly(request: BaseHTTPRequestHandler) -> None:
    """Respond with 200 and a body without end."""
    start_response(request)
    while True:
        request.wfile.write(b"x" * 1_000_000)


def respond_with_zip_bomb(request: BaseHTTPRequestHandler) -> None:
    """Respond with 2 GB that take 2 MB on the wire."""
    start_response(request, ("Content-Encoding", "gzip"))
    compressor = zlib.compressobj(9, wbits=31)
    for _ in range(200):
        request.wfile.write(compressor.compress(bytes(10_000_000)))
    request.wfile.write(compressor.flush())


def respond_slowly(request: BaseHTTPRequestHandler) -> None:
    """Respond with one byte at a time, each before the read timeout."""
    start_response(request)
    while True:
        request.wfile.write(b"x")
        time.sleep(0.2)


def read_peak_memory() -> int:
    """Return the peak memory of this process since it was last reset, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


@pytest.fixture
def bounded_memory() -> Iterator[None]:
    """Assert that the test does not increase this process's memory."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets the peak to the current size
    before = read_peak_memory()
    yield
    assert read_peak_memory() - before < MAX_GROWTH_BYTES


@pytest.mark.slow
@pytest.mark.usefixtures("bounded_memory")
@pytest.mark.parametrize("behaviour", [respond_endlessly, respond_with_zip_bomb])
def test_large_response_only_affects_the_sender_process(behaviour: Behaviour) -> None:
    """A response beyond the limit is an unknown outcome within seconds, and the next message is delivered."""
    started = time.monotonic()
    with run_webhook(behaviour, respond_with(200)) as hook:
        url = SecretStr(f"json://127.0.0.1:{hook.port}")
        with SenderProcess() as sender:
            first = sender.send(url, None, PAYLOAD)
            second = sender.send(url, None, PAYLOAD)
    assert first.result == "unknown"
    assert first in {NO_OUTCOME, SendOutcome("unknown", "the response is too large")}
    assert second == SendOutcome("delivered")
    assert time.monotonic() - started < 30


@pytest.mark.slow
def test_slow_response_ends_at_the_timeout() -> None:
    """A response of single bytes ends at the timeout, and so does its process."""
    started = time.monotonic()
    with run_webhook(respond_slowly) as hook, SenderProcess(timeout_seconds=3) as sender:
        url = SecretStr(f"json://127.0.0.1:{hook.port}")
        assert sender.send(url, None, PAYLOAD) == NO_OUTCOME
        assert sender.send(url, None, PAYLOAD) == SendOutcome("delivered")
    assert time.monotonic() - started < 20


def test_url_is_not_a_process_argument() -> None:
    """The process list contains nothing of the channel's URL."""
    with run_webhook() as hook, SenderProcess() as sender:
        url = SecretStr(f"json://127.0.0.1:{hook.port}/canary-path")
        assert sender.send(url, None, PAYLOAD) == SendOutcome("delivered")
        command_lines = b""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) == os.getpid():
                    command_lines += (process / "cmdline").read_bytes()
            except OSError:  # the process has ended
                continue
        assert b"tiktok_assets.alerts.sender_process" in command_lines
        assert b"canary" not in command_lines
