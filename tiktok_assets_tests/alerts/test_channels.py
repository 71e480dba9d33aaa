"""Laws of a hand-over: what is certain is told apart from what is not."""

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

MESSAGE = build_sample_alert().message


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of somebody who lets you in and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_a_mail_server_that_never_greets_is_a_definite_failure(mute: int) -> None:
    """Nothing was handed over, so nothing can have arrived."""
    assert (
        send_message(SecretStr(f"mailto://127.0.0.1:{mute}?from=a@b.de&to=c@d.de&cto=0.3"), None, MESSAGE).result
        == "failed"
    )


def test_a_webhook_that_never_answers_is_an_unknown_outcome(mute: int) -> None:
    """The request left."""
    assert send_message(SecretStr(f"json://127.0.0.1:{mute}?rto=0.3"), None, MESSAGE).result == "unknown"


def test_a_mail_connection_cut_after_the_text_is_an_unknown_outcome() -> None:
    """The server had all of it when it left; it may deliver it."""
    with run_mail_server() as (box, port):
        box.cuts = True
        assert (
            send_message(SecretStr(f"mailto://127.0.0.1:{port}?from=a@b.de&to=c@d.de"), None, MESSAGE).result
            == "unknown"
        )


def test_a_copy_refused_does_not_repeat_the_mail() -> None:
    """The mail was accepted for its main recipient: done, and the refusal is noted."""
    with run_mail_server() as (box, port):
        box.unknown = {"gone@example.com"}
        url = f"mailto://127.0.0.1:{port}?from=us@example.com&to=ann@example.com&cc=gone@example.com"
        assert send_message(SecretStr(url), None, MESSAGE) == SendOutcome(
            "delivered", "a recipient of the copy was refused (550)"
        )
        assert box.recipients == [["ann@example.com"]]


@pytest.mark.parametrize("option", ["retry=3", "optional=yes"])
def test_options_that_hide_an_outcome_are_overruled(option: str) -> None:
    """A URL may not make Apprise repeat by itself, or call a failure a success."""
    with run_webhook(respond_with(500), hang_up) as hook:
        outcomes = [
            send_message(SecretStr(f"json://127.0.0.1:{hook.port}?{option}"), None, MESSAGE).result
            for _ in range(2)
        ]
        assert outcomes == ["failed", "unknown"]
        assert len(hook.bodies) == 2


def test_the_form_a_url_asks_for_is_the_form_it_gets() -> None:
    """A webhook gets text, and Markdown or HTML if its URL says so."""
    with run_webhook() as hook:
        for form in ("", "?format=markdown", "?format=html"):
            assert (
                send_message(SecretStr(f"json://127.0.0.1:{hook.port}{form}"), None, MESSAGE).result == "delivered"
            )
    texts = [body["message"] for body in hook.bodies]
    assert [text[:8] for text in texts] == ["New top ", "**New to", "<div sty"]


def test_each_recipient_of_a_url_is_a_destination() -> None:
    """With a key of its own that is the same tomorrow and says nothing of the URL; a URL named twice is one."""
    url = "mailto://example.com?from=us@example.com&to=ann@example.com,bob@example.com"
    settings = load_settings(alert_urls=f"{url},json://127.0.0.1/s3cr3t,{url}")
    found = list_channels(settings)
    assert len(list_recipients(url)) == 2
    assert [one.target for one in found] == [0, 1, None]
    assert len({one.key for one in found}) == 3
    assert [one.key for one in found] == [one.key for one in list_channels(settings)]
    assert found[2].name == f"json {found[2].key[:8]}"
    assert "s3cr3t" not in repr(found)


def test_others_may_log_through_apprise_as_before(caplog: pytest.LogCaptureFixture) -> None:
    """What is kept from the logs is what is said while we send; a warning somebody else causes is still heard."""
    send_message(SecretStr("nothing://x"), None, MESSAGE)
    with caplog.at_level(logging.INFO):
        logging.getLogger("apprise").warning("theirs")
        logging.getLogger("apprise").debug("too quiet to be heard before")
    assert [record.message for record in caplog.records] == ["theirs"]


@pytest.mark.parametrize(
    ("said", "result"),
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
def test_what_the_libraries_say_is_understood(said: str, result: str) -> None:
    """An answer, or a message that never left, is definite; the rest of the sockets' troubles are not."""
    assert classify_failure(said.splitlines()).result == result
