"""Tests of the pictures of alerts: any content is drawn, and each channel gets it once or goes without."""

import io
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html import unescape
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tiktok_assets.alerts.channels import REPEAT_NOTE
from tiktok_assets.alerts.delivery import MAX_ATTEMPTS_WITH_PICTURE, DeliveryReport
from tiktok_assets.alerts.outbox import enqueue
from tiktok_assets.alerts.picture import picture_path, write_picture
from tiktok_assets.alerts.picture_drawing import PICTURE_SIZE, draw_picture
from tiktok_assets.alerts.sender_process import SenderProcess
from tiktok_assets.tiles import draw_tile
from tiktok_assets_tests.alerts.fake_channels import Behaviour, hang_up, respond_with, run_mail_server, run_webhook
from tiktok_assets_tests.alerts.sample_alert import PICTURE, build_alert_with_picture
from tiktok_assets_tests.alerts.test_delivery import DeliveryHarness
from tiktok_assets_tests.hostile_names import HOSTILE_NAMES

CONTENT = draw_picture(PICTURE)
VALUES = st.none() | st.floats()


def read_picture(content: bytes) -> tuple[str | None, tuple[int, int]]:
    """Return format and size of a picture whose pixels can be decoded."""
    with Image.open(io.BytesIO(content)) as picture:
        picture.load()
        return picture.format, picture.size


def encode(color: str, size: tuple[int, int], kind: str = "WEBP") -> bytes:
    """Return a thumbnail in one color."""
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(HOSTILE_NAMES, HOSTILE_NAMES, st.binary(max_size=50), st.lists(VALUES, max_size=40), st.text(max_size=9))
def test_any_content_is_drawn(
    title: str, subtitle: str, thumbnail: bytes, series: list[float | None], value: str
) -> None:
    """A picture of any texts, numbers and bytes is a PNG of its size."""
    picture = replace(
        PICTURE,
        title=title,
        subtitle=subtitle,
        thumbnail=thumbnail,
        series=tuple(series),
        figures=(("Lifetime spend", value * 9),) * 8,
    )
    assert read_picture(draw_picture(picture)) == ("PNG", PICTURE_SIZE)


@pytest.mark.parametrize("size", [(320, 569), (320, 320), (320, 180), (320, 20)])
def test_thumbnail_is_shown(size: tuple[int, int]) -> None:
    """A thumbnail of any shape is in the middle of its place; a tile with the name replaces a damaged one."""
    with Image.open(io.BytesIO(draw_picture(replace(PICTURE, thumbnail=encode("#00ff00", size, "PNG"))))) as drawn:
        assert drawn.getpixel((40 + 154, 40 + 275)) == (0, 255, 0)
    damaged = draw_picture(replace(PICTURE, thumbnail=encode("#00ff00", size)[:-9]))
    assert damaged == CONTENT
    with Image.open(io.BytesIO(CONTENT)) as drawn:
        tile = draw_tile(PICTURE.title, PICTURE.key, (309, 550))
        assert drawn.crop((60, 60, 300, 500)).tobytes() == tile.crop((20, 20, 260, 460)).tobytes()


class PictureHarness(DeliveryHarness):
    """An outbox with one alert that has a picture."""

    def deliver(self, *, after: timedelta = timedelta(0), **seconds: float) -> DeliveryReport:
        """Deliver what is due; on a busy machine a picture and its repeat take longer than a delivery waits."""
        return super().deliver(after=after, **{"timeout_seconds": 60, **seconds})

    def add(self, alert_id: str = "one", *, written: bool = True) -> None:
        """Write the picture and enqueue the alert."""
        if written:
            write_picture(self.folder / "alerts", alert_id, CONTENT)
        with self.state.transaction() as connection:
            enqueue(connection, build_alert_with_picture(alert_id), self.channels, self.now)


@pytest.fixture
def sender() -> Iterator[SenderProcess]:
    """Return a process of the test's own: what one picture costs is not paid by the messages of other tests."""
    with SenderProcess() as process:
        yield process


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder, and check that no alert left anything of its picture in the database."""
    yield tmp_path
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("state.sqlite*"))
    assert [text for text in (b"IDAT", b64encode(CONTENT)[:40]) if text in stored] == []


def test_mail_has_the_picture_as_attachment(folder: Path, sender: SenderProcess) -> None:
    """A mail has the picture as a part with a name that says what it is, beside the whole message."""
    with run_mail_server() as (mailbox, port):
        harness = PictureHarness(
            folder, f"mailto://127.0.0.1:{port}?from=us@example.com&to=ann@example.com", sender=sender
        )
        harness.add()
        assert harness.deliver().delivered == 2
    (mail,) = mailbox.mails
    (part,) = mail.iter_attachments()
    assert (part.get_content_type(), part.get_filename()) == ("image/png", "new-top-spender-sample.png")
    assert part.get_content() == CONTENT
    assert read_picture(part.get_content()) == ("PNG", PICTURE_SIZE)
    body = mail.get_body(("html",))
    assert body is not None
    assert "Alert one." in body.get_content()


def test_webhook_has_the_picture_in_the_message(folder: Path, sender: SenderProcess) -> None:
    """A webhook gets one request with the message and the picture."""
    with run_webhook() as hook:
        harness = PictureHarness(folder, f"json://127.0.0.1:{hook.port}", sender=sender)
        harness.add()
        assert harness.deliver().delivered == 2
    (body,) = hook.bodies
    (attachment,) = body["attachments"]
    assert (attachment["filename"], attachment["mimetype"]) == ("new-top-spender-sample.png", "image/png")
    assert b64decode(attachment["base64"]) == CONTENT


@pytest.mark.parametrize("written", [True, False])
def test_channel_without_attachments_gets_the_message(written: bool, folder: Path, sender: SenderProcess) -> None:
    """Where a webhook takes no attachment, or the host lacks the file, the message is sent as it is."""
    with run_webhook() as chat, run_webhook() as program:
        urls = [f"mmost://127.0.0.1:{chat.port}/abcdefghijkl", f"json://127.0.0.1:{program.port}"]
        harness = PictureHarness(folder, *urls[: 1 if written else 2], sender=sender)
        harness.add(written=written)
        assert harness.deliver().failed == 0
    assert [set(body) & {"file_ids", "attachments"} for body in chat.bodies] == [set()]
    assert [body["attachments"] for body in program.bodies] == ([] if written else [[]])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "requests", "delivered"), [(413, 2, True), (400, 2, True), (401, 1, False), (500, 1, False)]
)
def test_refused_picture_is_left_out(
    status: int, requests: int, delivered: bool, folder: Path, sender: SenderProcess
) -> None:
    """What a service refuses for its size or kind is sent without the picture at once; other failures wait."""
    with run_webhook(respond_with(status)) as hook:
        harness = PictureHarness(folder, f"json://127.0.0.1:{hook.port}", sender=sender)
        harness.add()
        report = harness.deliver()
        assert (report.delivered, report.failed) == ((2, 0) if delivered else (1, 1))
        assert [len(body["attachments"]) for body in hook.bodies] == [1, 0][:requests]


@pytest.mark.slow
def test_mail_that_is_too_large_is_sent_without_the_picture(folder: Path, sender: SenderProcess) -> None:
    """A mail server that refuses a mail for its size gets it without the picture."""
    with run_mail_server() as (mailbox, port):
        mailbox.refusals = ["552 message exceeds fixed maximum message size"]
        harness = PictureHarness(
            folder, f"mailto://127.0.0.1:{port}?from=us@example.com&to=ann@example.com", sender=sender
        )
        harness.add()
        assert harness.deliver().delivered == 2
    (mail,) = mailbox.mails
    assert list(mail.iter_attachments()) == []


def test_unknown_outcome_is_repeated_once_and_without_the_picture(folder: Path, sender: SenderProcess) -> None:
    """A message whose picture may have arrived is not sent again at once, and repeated with the note alone."""
    with run_webhook(hang_up) as hook:
        harness = PictureHarness(folder, f"json://127.0.0.1:{hook.port}", sender=sender)
        harness.add()
        assert harness.deliver().unconfirmed == 1
        assert len(hook.bodies) == 1
        harness.deliver(after=timedelta(days=1))
        harness.deliver(after=timedelta(days=1))
    assert [(len(body["attachments"]), REPEAT_NOTE in body["message"]) for body in hook.bodies] == [
        (1, False),
        (0, True),
    ]


def test_later_attempts_leave_the_picture_out(folder: Path, sender: SenderProcess) -> None:
    """A service that fails with every message that has a picture gets it without after some attempts."""

    def _fail_with_picture(request: BaseHTTPRequestHandler) -> None:
        respond_with(500 if hook.bodies[-1]["attachments"] else 200)(request)

    with run_webhook(*[_fail_with_picture] * 9) as hook:
        harness = PictureHarness(folder, f"json://127.0.0.1:{hook.port}", sender=sender)
        harness.add()
        for _ in range(MAX_ATTEMPTS_WITH_PICTURE + 2):
            harness.deliver(after=timedelta(days=1))
    assert [len(body["attachments"]) for body in hook.bodies] == [1] * MAX_ATTEMPTS_WITH_PICTURE + [0]


@pytest.mark.slow
@pytest.mark.parametrize("behaviour", [respond_with(200), respond_with(413), hang_up])
def test_picture_after_a_message_is_sent_once(behaviour: Behaviour, folder: Path, sender: SenderProcess) -> None:
    """A service that needs two requests gets the message first; what becomes of the picture repeats nothing."""
    with run_webhook(respond_with(200), behaviour) as hook:
        harness = PictureHarness(folder, f"ntfy://127.0.0.1:{hook.port}/topic", sender=sender)
        harness.add()
        assert harness.deliver().delivered == 2
        harness.deliver(after=timedelta(days=1))
    message, picture = hook.bodies
    assert "Alert one." in message["message"]
    assert picture["raw"] == CONTENT
    assert "new-top-spender-sample.png" in hook.paths[1]


def test_message_that_failed_is_followed_by_no_picture(folder: Path, sender: SenderProcess) -> None:
    """The picture comes only after its message was accepted."""
    with run_webhook(respond_with(500)) as hook:
        harness = PictureHarness(folder, f"ntfy://127.0.0.1:{hook.port}/topic", sender=sender)
        harness.add()
        assert harness.deliver().failed == 1
        assert len(hook.bodies) == 1
        assert harness.deliver(after=timedelta(days=1)).delivered == 1
    assert ["raw" in body for body in hook.bodies] == [False, False, True]


def test_page_shows_the_picture_with_its_words(folder: Path) -> None:
    """The alert's page contains the picture with its alternative text; without the file there is none."""
    harness = PictureHarness(folder)
    harness.add("one")
    harness.add("two", written=False)
    harness.deliver()
    page = (folder / "alerts" / "one.html").read_text(encoding="utf-8")
    found = re.search(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)"', page)
    assert found is not None
    assert b64decode(found[1]) == CONTENT
    assert unescape(found[2]) == PICTURE.alt.replace("\n", r"\n")
    assert "<img" not in (folder / "alerts" / "two.html").read_text(encoding="utf-8")
    assert picture_path(folder / "alerts", "one").stat().st_mode & 0o777 == 0o600
