"""Tests of sending to one channel: a definite outcome is never reported as unknown, nor the reverse."""

import logging
import socket
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from tiktok_assets.alerts.channels import SendOutcome, classify_failure, list_recipients, send_message
from tiktok_assets.alerts.outbox import list_channels
from tiktok_assets.settings import load_settings
from tiktok_assets_tests.alerts.fake_channels import hang_up, respond_with, run_mail_server, run_webhook
from tiktok_assets_tests.alerts.sample_alert import build_sample_alert

PAYLOAD = build_sample_alert().payload


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Yield the port of a server that accepts connections and never sends anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_mail_server_without_greeting_is_definite_failure(silent_port: int) -> None:
    """A message that was never sent is a definite failure."""
    assert (
        send_message(
            SecretStr(f"mailto://127.0.0.1:{silent_port}?from=a@b.de&to=c@d.de&cto=0.3"), None, PAYLOAD
        ).result
        == "failed"
    )


def test_webhook_without_response_is_unknown_outcome(silent_port: int) -> None:
    """A request without a response has an unknown outcome."""
    assert send_message(SecretStr(f"json://127.0.0.1:{silent_port}?rto=0.3"), None, PAYLOAD).result == "unknown"


def test_mail_connection_closed_after_data_is_unknown_outcome() -> None:
    """A mail server that has the whole message when the connection closes may deliver it."""
    with run_mail_server() as (mailbox, port):
        mailbox.closes_connection = True
        assert (
            send_message(SecretStr(f"mailto://127.0.0.1:{port}?from=a@b.de&to=c@d.de"), None, PAYLOAD).result
            == "unknown"
        )


def test_refused_copy_recipient_counts_as_delivered() -> None:
    """A mail accepted for its main recipient is delivered, and the refused copy is noted."""
    with run_mail_server() as (mailbox, port):
        mailbox.unknown = {"gone@example.com"}
        url = f"mailto://127.0.0.1:{port}?from=us@example.com&to=ann@example.com&cc=gone@example.com"
        assert send_message(SecretStr(url), None, PAYLOAD) == SendOutcome(
            "delivered", "a copy recipient was refused (550)"
        )
        assert mailbox.recipients == [["ann@example.com"]]


@pytest.mark.parametrize("option", ["retry=3", "optional=yes"])
def test_url_options_cannot_hide_an_outcome(option: str) -> None:
    """A URL can neither make Apprise retry by itself nor make it report a failure as a success."""
    with run_webhook(respond_with(500), hang_up) as hook:
        outcomes = [
            send_message(SecretStr(f"json://127.0.0.1:{hook.port}?{option}"), None, PAYLOAD).result
            for _ in range(2)
        ]
        assert outcomes == ["failed", "unknown"]
        assert len(hook.bodies) == 2


def test_format_option_of_the_url_is_used() -> None:
    """A webhook gets text, and Markdown or HTML if its URL selects that format."""
    with run_webhook() as hook:
        for form in ("", "?format=markdown", "?format=html"):
            assert (
                send_message(SecretStr(f"json://127.0.0.1:{hook.port}{form}"), None, PAYLOAD).result == "delivered"
            )
    texts = [body["message"] for body in hook.bodies]
    assert [text[:8] for text in texts] == ["New top ", "**New to", "<div sty"]


def test_each_recipient_of_a_url_is_a_channel() -> None:
    """Each recipient has a stable key without parts of the URL, and a URL listed twice is one channel."""
    url = "mailto://example.com?from=us@example.com&to=ann@example.com,bob@example.com"
    settings = load_settings(alert_urls=f"{url},json://127.0.0.1/s3cr3t,{url}")
    channels = list_channels(settings)
    assert len(list_recipients(url)) == 2
    assert [one.recipient_index for one in channels] == [0, 1, None]
    assert len({one.key for one in channels}) == 3
    assert [one.key for one in channels] == [one.key for one in list_channels(settings)]
    assert channels[2].name == f"json {channels[2].key[:8]}"
    assert "s3cr3t" not in repr(channels)


def test_logs_of_other_apprise_users_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    """Only log messages during a send are captured; a warning from other code is logged as before."""
    send_message(SecretStr("nothing://x"), None, PAYLOAD)
    with caplog.at_level(logging.INFO):
        logging.getLogger("apprise").warning("from other code")
        logging.getLogger("apprise").debug("below the level")
    assert [record.message for record in caplog.records] == ["from other code"]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("Failed to send Slack notification: Bad Request, error=400.", "failed"),
        (
            "Socket Exception: HTTPSConnectionPool(host='x', port=443): Read timed out. (read timeout=4.0)",
            "unknown",
        ),
        ("Socket Exception: ('Connection aborted.', RemoteDisconnected('closed without response'))", "unknown"),
        ("Socket Exception: Max retries exceeded (Caused by ConnectTimeoutError(<x>, 'timed out'))", "failed"),
        ("Socket Exception: (535, b'5.7.8 Authentication failed')", "failed"),
        ("Socket Exception: {'a@b.de': (550, b'no such user')}", "failed"),
        ("Socket Exception: Connection unexpectedly closed: timed out", "unknown"),
        ("Socket Exception: timed out\nConnection error while submitting email", "failed"),
        ("There are no Email recipients to notify", "failed"),
        ("", "failed"),
    ],
)
def test_library_messages_are_classified(text: str, result: str) -> None:
    """A response, or a message that never left, is definite; other socket errors are unknown."""
    assert classify_failure(text.splitlines()).result == result


def test_message_that_is_too_long_arrives_in_its_longest_form_that_fits() -> None:
    """A chat gets the whole message, else the compact one with its links, else the brief one; never a cut one."""
    whole, compact = ("x" * 5000, PAYLOAD["compact"])
    forms = [{}, {"markdown": whole}, {"markdown": whole, "compact": whole}]
    earlier = {name: text for name, text in PAYLOAD.items() if name != "compact"} | {"markdown": whole}
    with run_webhook() as hook:
        for payload in (*({**PAYLOAD, **form} for form in forms), earlier):
            send_message(SecretStr(f"mmost://127.0.0.1:{hook.port}/abcdefghijkl"), None, payload)
    texts = [body["text"] for body in hook.bodies]
    assert texts[:2] == [PAYLOAD["markdown"].rstrip(), compact.rstrip()]
    for text in texts[2:]:
        assert "x" * 5000 not in text
        assert "https://ads.tiktok.com" not in text
        assert PAYLOAD["facts"]["ad_id"] not in text
