"""Laws of the alerts' words: every number is there, and no name of somebody else's is obeyed, in any form."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import dagster as dg
import html5lib
import pytest
from apprise import NotifyFormat
from apprise.conversion import convert_between
from hypothesis import example, given
from hypothesis import strategies as st
from linkify_it import LinkifyIt
from markdown_it import MarkdownIt
from pydantic import SecretStr

from tiktok_assets.alerts.channels import create_service, send_message
from tiktok_assets.alerts.check_failures import build_top_spender_alert
from tiktok_assets.alerts.dagster_urls import build_launchpad_config, build_launchpad_url
from tiktok_assets.alerts.message import MAX_UNTRUSTED_LENGTH, Bar, Link, Message, UntrustedText
from tiktok_assets.settings import load_settings
from tiktok_assets_tests.alerts.fake_channels import run_mail_server, run_webhook
from tiktok_assets_tests.alerts.sample_alert import CODE, FACTS, HOSTILE_NAME, build_sample_alert
from tiktok_assets_tests.hostile_names import ALL_FRAGMENTS, HOSTILE_NAMES, control_characters_in, visible_text

BLOCKS = ("p", "td", "h1")
LINK = ("link_open", "link_close", "softbreak")


class _Reader(HTMLParser):
    """Collects what a page shows, and the tags and addresses it uses."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words, self.tags, self.addresses = "", set[str](), list[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember a tag."""
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data: str) -> None:
        """Remember words."""
        self.words += data


def _rendered(text: str) -> str:
    """CommonMark as HTML, by the library Apprise brings."""
    return str(convert_between(NotifyFormat.MARKDOWN, NotifyFormat.HTML, text))  # type: ignore[no-untyped-call] # of Apprise


def test_every_form_has_the_numbers() -> None:
    """Spend, share, runner-up, lead, since when, windows, ids, reason and the alert's id stand in each form."""
    alert = build_sample_alert()
    for form in (alert.text, alert.markdown, _Reader(alert.html).words):
        for fact in (
            "1,234.50 EUR",
            "41.2% of what the campaign spent",
            "夏の動画 UGC 3",
            "1,100.00 EUR",
            "by 12.2%",
            "20 November 2026, 12:31 UTC",
            "200.00 EUR of the campaign's 400.00 EUR, rank 1",
            "rank 2",
            "4 other ads",
            "665.50 EUR",
            "1800000000000000077",
            "Alert 9f2c1b7a33d04e15.",
        ):
            assert fact in form, (fact, form)
        assert "30 complete days" not in form


def test_what_is_not_known_is_left_out() -> None:
    """The only ad of a campaign has no runner-up, no lead and no windows; nothing says None."""
    unknown = [name for name in FACTS if name.startswith(("runner", "lead", "rank", "top", "spend_"))]
    facts: dict[str, Any] = dict.fromkeys([*unknown, "ad_name", "advertiser_name"])
    alert = build_sample_alert(**facts, ads=1, campaign_spend="1234.5000", share=1.0)
    for form in (alert.text, alert.markdown, alert.html, alert.title):
        assert "None" not in form
        assert "ahead of" not in form
    assert "1800000000000000077" in alert.title


def test_a_message_is_json() -> None:
    """The outbox keeps it as it is."""
    alert = build_sample_alert()
    assert json.loads(json.dumps(alert.message)) == alert.message


@example(HOSTILE_NAME)
@example("</td><img src=x onerror=alert(1)>")
@example("<at>everyone</at>")
@example("`]( ``` \n```\n<!channel> @here <@U1> </b>")
@example(ALL_FRAGMENTS)
@given(HOSTILE_NAMES | st.text(max_size=120))
def test_a_name_stays_a_name(name: str) -> None:
    """Whatever an ad is called, mail has the tags and links of a plain name, and chat shows it as code."""
    plain, hostile = (replace(_letter(one), bars=()) for one in ("plain", name))  # this one knows no fences
    mail = _Reader(hostile.html)
    assert mail.tags == _Reader(plain.html).tags
    assert mail.addresses == ["https://ours.test/x"]
    chat = _Reader(_rendered(hostile.markdown))
    assert chat.tags <= {"p", "strong", "code", "ul", "li", "pre", "a"}
    assert chat.addresses == ["https://ours.test/x"]
    assert len(UntrustedText(name).plain) <= MAX_UNTRUSTED_LENGTH
    for form in (hostile.text, hostile.markdown):
        assert not any(call in form for call in ("@channel", "@here", "<!", "<@", "<at>"))


def _letter(name: str) -> Message:
    return Message(
        title=("Ad ", UntrustedText(name)),
        sentences=((UntrustedText(name), " leads."),),
        facts=(("Ad", UntrustedText(name)),),
        bars=(Bar(UntrustedText(name), "1.00 EUR", 1.0),),
        links=(Link("Look", "https://ours.test/x"),),
        footer="A.",
    )


@example(ALL_FRAGMENTS)
@example("<\\")
@given(HOSTILE_NAMES)
def test_no_channel_makes_more_of_a_name_than_words(name: str) -> None:
    """Chat, Slack, cards of Teams, mail and plain text show the name; the only link is ours, the mentions none."""
    letter, words = _letter(name), visible_text(UntrustedText(name).plain)
    slack = create_service("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ").dialect_convert(
        letter.markdown, NotifyFormat.MARKDOWN
    )
    assert re.findall(r"<[^>]*>", slack) == ["<https://ours.test/x|Look>"]
    cards = MarkdownIt("gfm-like", {"linkify": True})
    for markdown in (letter.markdown, re.sub(r"```\n.*?\n```", "", letter.markdown, flags=re.DOTALL)):
        tokens = [child for token in cards.parse(markdown) for child in token.children or []]
        assert [one.attrs["href"] for one in tokens if one.type == "link_open"] == ["https://ours.test/x"]
        assert {one.type for one in tokens} <= {"text", "strong_open", "strong_close", "code_inline", *LINK}
        named = [visible_text(one.content) for one in tokens if one.type == "code_inline"]
        assert named == [words.replace("`", "\N{MODIFIER LETTER GRAVE ACCENT}")] * 3
    mail = html5lib.parse(letter.html, namespaceHTMLElements=False)
    assert [one.get("href") for one in mail.iter("a")] == ["https://ours.test/x"]
    assert [visible_text("".join(one.itertext())) for one in mail.iter("b")] == [words] * 3
    # Cells and paragraphs stand apart from each other, whatever their texts would make together.
    blocks = [one for one in mail.iter() if one.tag in BLOCKS and one.find(".//td") is None]
    apart = "\n".join("".join(one.itertext()) for one in blocks)
    for shown in (apart, letter.text, letter.markdown, slack):
        assert control_characters_in(shown, allowed="\n") == set()
        found = LinkifyIt().match(shown.replace("https://ours.test/x", "")) or []
        assert [one.text for one in found] == []
    assert words in visible_text(letter.text)
    assert words in visible_text(letter.subject)
    assert control_characters_in(letter.subject) == set()


@example("7\x7f\u202e\t😀\ud83d")
@given(st.text(st.characters(exclude_categories=["Cn"])))
def test_the_launchpad_gets_what_it_is_given(text: str) -> None:
    """Whatever stands for an id, the YAML of the link is read back as that text and opens no other field."""
    config = dg.config_from_yaml_strings([build_launchpad_config(text, "77", text)])
    asked = config["ops"]["duplicate_ad"]["config"]
    assert (asked["advertiser_id"], asked["ad_id"], asked["campaign_id"]) == (text, "77", text)
    assert (asked["live"], asked.keys() & {"enable", "approval"}) == (False, set())


def test_hostile_names_arrive_as_text() -> None:
    """A Slack-shaped webhook and a mail server get the name, without a call, a link or a tag in it."""
    alert = build_sample_alert()
    with run_webhook() as hook, run_mail_server() as (box, port):
        send_message(SecretStr(f"mmost://127.0.0.1:{hook.port}/abcdefghijkl"), None, alert.message)
        send_message(
            SecretStr(f"mailto://127.0.0.1:{port}?from=us@example.com&to=ann@example.com"), None, alert.message
        )
    text = hook.bodies[0]["text"]
    assert hook.paths == ["/hooks/abcdefghijkl"]
    assert text.replace("\N{WORD JOINER}", "").startswith(
        "**New top spender in `Summer_Sale|EU`: `<script>alert(1)</script> *bold*"
    )
    assert "@channel" not in text
    assert "<!here>" not in text
    mail = box.mails[0]
    assert mail["subject"].startswith(
        "New top spender in Summer_Sale|EU: <script>alert(1)</script> *bold* _x_ `code`"
    )
    html = mail.get_body(("html",))
    assert html
    assert "script" not in _Reader(html.get_content()).tags
    plain = mail.get_body(("plain",))
    assert plain
    assert "1,234.50 EUR" in plain.get_content()


@pytest.mark.parametrize("mode", ["propose", "execute"])
def test_the_launchpad_link_is_filled_in(mode: str) -> None:
    """It holds the job's config as YAML: a dry run, or with a code live; either leaves everything switched off."""
    settings = load_settings(
        scaling_mode=mode, scaling_campaigns="7001:555", ui_url="https://dagster.example.com/x"
    )
    own = {"advertiser_id": "7001", "ad_id": "77", "campaign_id": "555"}
    for code, more in ((None, {"live": False}), ("ABC234", {"live": True, "approval": "ABC234"})):
        parts = urlsplit(str(build_launchpad_url(settings, "7001", "77", code)))
        assert parts.netloc == "dagster.example.com"
        assert parts.path == "/x/locations/__repository__@tiktok_assets/jobs/duplicate_ad/playground/setup"
        config = dg.config_from_yaml_strings(parse_qs(parts.query)["config"])
        assert config == {"ops": {"duplicate_ad": {"config": {**own, **more}}}}


@pytest.mark.parametrize("mode", ["propose", "execute"])
def test_the_code_stands_in_the_words_and_in_the_link_that_duplicates(mode: str) -> None:
    """Each form has the code and until when it is good; the dry run's link and the data have none."""
    alert, bare = build_sample_alert(mode=mode), CODE.text.replace("-", "")
    for form in (alert.text, alert.markdown, _Reader(alert.html).words):
        assert f"{CODE.text}, once, until 27 November 2026, 12:31 UTC" in form
    dry, live = [link for link in _Reader(alert.html).addresses if "/jobs/duplicate_ad/playground/setup?" in link]
    assert ("live:+false" in dry, bare in dry) == (True, False)
    assert ("live:+true" in live, bare in live) == (True, True)
    for form in (alert.title, alert.brief, json.dumps(alert.facts), repr(CODE)):
        assert CODE.text not in form
        assert bare not in form


def test_there_is_no_launchpad_link_without_a_job_or_a_campaign() -> None:
    """In mode `alert` nothing that writes exists; without a scaling campaign there is nowhere to go."""
    assert "playground" not in build_sample_alert(mode="alert").text
    assert build_launchpad_url(load_settings(scaling_mode="propose"), "7001", "77") is None


def test_the_usual_message_fits_the_small_chats() -> None:
    """With names of usual length the whole message goes into one of Discord's, of 2,000 characters."""
    assert len(build_sample_alert(ad_name="UGC hook A, 3 seconds").markdown) < 1900


def test_a_receiver_with_little_room_gets_the_brief_form() -> None:
    """What matters, without numbers and links, and still the alert's id."""
    alert = build_sample_alert()
    assert len(alert.brief) < 600
    assert "Alert 9f2c1b7a33d04e15." in alert.brief
    assert "http" not in alert.brief.replace("http:", "")


@pytest.mark.parametrize(
    ("currency", "shown"), [("USD", "1,211.81 USD"), ("JPY", "1,212 JPY"), ("KRW", "1,212 KRW")]
)
def test_amounts_have_the_digits_of_their_currency(currency: str, shown: str) -> None:
    """Yen have no cents, in a message as on the page."""
    alert = build_top_spender_alert("a1", FACTS | {"currency": currency, "spend": "1211.81"}, load_settings())
    assert shown in alert.text
    assert shown in alert.markdown
