"""Tests of message formats: every number is shown, and no untrusted name is interpreted, in any format."""

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
from tiktok_assets.alerts.dagster_urls import build_launchpad_config, build_launchpad_url
from tiktok_assets.alerts.formatters import MAX_UNTRUSTED_LENGTH, Bar, Link, Message, UntrustedText
from tiktok_assets.duplication.ad_kinds import AD_KINDS, AdKind
from tiktok_assets.settings import load_settings
from tiktok_assets.top_spenders.alert import build_top_spender_alert
from tiktok_assets_tests.alerts.fake_channels import run_mail_server, run_webhook
from tiktok_assets_tests.alerts.sample_alert import CODE, FACTS, HOSTILE_NAME, build_sample_alert
from tiktok_assets_tests.hostile_names import ALL_FRAGMENTS, HOSTILE_NAMES, control_characters_in, visible_text

BLOCK_TAGS = ("p", "td", "h1")
LINK_TOKENS = ("link_open", "link_close", "softbreak")


class _PageReader(HTMLParser):
    """Collects the text, tags and addresses of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags, self.addresses = "", set[str](), list[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record a tag."""
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data: str) -> None:
        """Record text."""
        self.text += data


def _render(text: str) -> str:
    """Render CommonMark as HTML with the library that Apprise uses."""
    return str(convert_between(NotifyFormat.MARKDOWN, NotifyFormat.HTML, text))  # type: ignore[no-untyped-call] # of Apprise


def test_every_format_has_the_numbers() -> None:
    """Spend, share, runner-up, lead, dates, windows, ids and the alert's id are in each format."""
    alert = build_sample_alert()
    for shown in (alert.text, alert.markdown, _PageReader(alert.html).text):
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
            assert fact in shown, (fact, shown)
        assert "30 complete days" not in shown


def test_missing_facts_are_left_out() -> None:
    """A campaign's only ad has no runner-up, lead or windows, and no format shows None."""
    unknown = [name for name in FACTS if name.startswith(("runner", "lead", "rank", "top", "spend_"))]
    facts: dict[str, Any] = dict.fromkeys([*unknown, "ad_name", "advertiser_name"])
    alert = build_sample_alert(**facts, ads=1, campaign_spend="1234.5000", share=1.0)
    for shown in (alert.text, alert.markdown, alert.html, alert.title):
        assert "None" not in shown
        assert "ahead of" not in shown
    assert "1800000000000000077" in alert.title


def test_payload_is_json() -> None:
    """The payload survives a JSON round trip."""
    alert = build_sample_alert()
    assert json.loads(json.dumps(alert.payload)) == alert.payload


@example(HOSTILE_NAME)
@example("</td><img src=x onerror=alert(1)>")
@example("<at>everyone</at>")
@example("`]( ``` \n```\n<!channel> @here <@U1> </b>")
@example(ALL_FRAGMENTS)
@given(HOSTILE_NAMES | st.text(max_size=120))
def test_untrusted_name_adds_no_markup(name: str) -> None:
    """For any name, mail has the tags and links of a plain name, and chat shows the name as code."""
    # Without bars, as this renderer has no fenced code.
    plain, hostile = (replace(_build_message(one), bars=()) for one in ("plain", name))
    mail = _PageReader(hostile.html)
    assert mail.tags == _PageReader(plain.html).tags
    assert mail.addresses == ["https://ours.test/x"]
    chat = _PageReader(_render(hostile.markdown))
    assert chat.tags <= {"p", "strong", "code", "ul", "li", "pre", "a"}
    assert chat.addresses == ["https://ours.test/x"]
    assert len(UntrustedText(name).plain) <= MAX_UNTRUSTED_LENGTH
    for shown in (hostile.text, hostile.markdown):
        assert not any(call in shown for call in ("@channel", "@here", "<!", "<@", "<at>"))


def _build_message(name: str) -> Message:
    return Message(
        title=("Ad ", UntrustedText(name)),
        paragraphs=((UntrustedText(name), " leads."),),
        facts=(("Ad", UntrustedText(name)),),
        bars=(Bar(UntrustedText(name), "1.00 EUR", 1.0),),
        links=(Link("Look", "https://ours.test/x"),),
        footer="A.",
    )


@example(ALL_FRAGMENTS)
@example("<\\")
@given(HOSTILE_NAMES)
def test_no_channel_interprets_a_name(name: str) -> None:
    """Chat, Slack, Teams cards, mail and plain text show any name as text, with our link only and no mention."""
    message, name_text = _build_message(name), visible_text(UntrustedText(name).plain)
    slack = create_service("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ").dialect_convert(
        message.markdown, NotifyFormat.MARKDOWN
    )
    assert re.findall(r"<[^>]*>", slack) == ["<https://ours.test/x|Look>"]
    cards = MarkdownIt("gfm-like", {"linkify": True})
    for markdown in (message.markdown, re.sub(r"```\n.*?\n```", "", message.markdown, flags=re.DOTALL)):
        tokens = [child for token in cards.parse(markdown) for child in token.children or []]
        assert [one.attrs["href"] for one in tokens if one.type == "link_open"] == ["https://ours.test/x"]
        assert {one.type for one in tokens} <= {"text", "strong_open", "strong_close", "code_inline", *LINK_TOKENS}
        named = [visible_text(one.content) for one in tokens if one.type == "code_inline"]
        assert named == [name_text.replace("`", "\N{MODIFIER LETTER GRAVE ACCENT}")] * 3
    mail = html5lib.parse(message.html, namespaceHTMLElements=False)
    assert [one.get("href") for one in mail.iter("a")] == ["https://ours.test/x"]
    assert [visible_text("".join(one.itertext())) for one in mail.iter("b")] == [name_text] * 3
    # Cells and paragraphs are separate blocks, so their texts are joined with line breaks.
    blocks = [one for one in mail.iter() if one.tag in BLOCK_TAGS and one.find(".//td") is None]
    block_text = "\n".join("".join(one.itertext()) for one in blocks)
    for shown in (block_text, message.text, message.markdown, slack):
        assert control_characters_in(shown, allowed="\n") == set()
        found = LinkifyIt().match(shown.replace("https://ours.test/x", "")) or []
        assert [one.text for one in found] == []
    assert name_text in visible_text(message.text)
    assert name_text in visible_text(message.subject)
    assert control_characters_in(message.subject) == set()


@example("7\x7f\u202e\t😀\ud83d")
@given(st.text(st.characters(exclude_categories=["Cn"])))
def test_launchpad_config_round_trips_any_text(text: str) -> None:
    """For any text as an id, the YAML is parsed back to that text and sets no other field."""
    config = dg.config_from_yaml_strings([build_launchpad_config(text, "77", text)])
    config_values = config["ops"]["duplicate_ad"]["config"]
    assert (config_values["advertiser_id"], config_values["ad_id"], config_values["campaign_id"]) == (
        text,
        "77",
        text,
    )
    assert (config_values["live"], config_values.keys() & {"enable", "approval"}) == (False, set())


def test_hostile_names_arrive_as_text() -> None:
    """A Slack-like webhook and a mail server get the name without a mention, link or tag in it."""
    alert = build_sample_alert()
    with run_webhook() as hook, run_mail_server() as (mailbox, port):
        send_message(SecretStr(f"mmost://127.0.0.1:{hook.port}/abcdefghijkl"), None, alert.payload)
        send_message(
            SecretStr(f"mailto://127.0.0.1:{port}?from=us@example.com&to=ann@example.com"), None, alert.payload
        )
    text = hook.bodies[0]["text"]
    assert hook.paths == ["/hooks/abcdefghijkl"]
    assert text.replace("\N{WORD JOINER}", "").startswith(
        "**New top spender in `Summer_Sale|EU`: `<script>alert(1)</script> *bold*"
    )
    assert "@channel" not in text
    assert "<!here>" not in text
    mail = mailbox.mails[0]
    assert mail["subject"].startswith(
        "New top spender in Summer_Sale|EU: <script>alert(1)</script> *bold* _x_ `code`"
    )
    html = mail.get_body(("html",))
    assert html
    assert "script" not in _PageReader(html.get_content()).tags
    plain = mail.get_body(("plain",))
    assert plain
    assert "1,234.50 EUR" in plain.get_content()


@pytest.mark.parametrize("mode", ["propose", "execute"])
def test_launchpad_url_contains_the_config(mode: str) -> None:
    """The URL contains the job's config as YAML, a dry run or live with a code, without `enable` either way."""
    settings = load_settings(
        scaling_mode=mode, scaling_campaigns="7001:555", ui_url="https://dagster.example.com/x"
    )
    ids = {"advertiser_id": "7001", "ad_id": "77", "campaign_id": "555"}
    for code, expected in ((None, {"live": False}), ("ABC234", {"live": True, "approval": "ABC234"})):
        parts = urlsplit(str(build_launchpad_url(settings, "7001", "77", code)))
        assert parts.netloc == "dagster.example.com"
        assert parts.path == "/x/locations/__repository__@tiktok_assets/jobs/duplicate_ad/playground/setup"
        config = dg.config_from_yaml_strings(parse_qs(parts.query)["config"])
        assert config == {"ops": {"duplicate_ad": {"config": {**ids, **expected}}}}


@pytest.mark.parametrize("mode", ["propose", "execute"])
def test_approval_code_is_in_the_body_and_in_the_live_url_only(mode: str) -> None:
    """Each format has the code and its expiry; the dry run's URL and the facts have no code."""
    alert, bare = build_sample_alert(mode=mode), CODE.text.replace("-", "")
    for shown in (alert.text, alert.markdown, _PageReader(alert.html).text):
        assert f"{CODE.text}, once, until 27 November 2026, 12:31 UTC" in shown
    dry, live = [
        link for link in _PageReader(alert.html).addresses if "/jobs/duplicate_ad/playground/setup?" in link
    ]
    assert ("live:+false" in dry, bare in dry) == (True, False)
    assert ("live:+true" in live, bare in live) == (True, True)
    for shown in (alert.title, alert.brief, json.dumps(alert.facts), repr(CODE)):
        assert CODE.text not in shown
        assert bare not in shown


def test_no_launchpad_url_without_job_or_campaign() -> None:
    """In mode `alert`, and without a scaling campaign, there is no launchpad URL."""
    assert "playground" not in build_sample_alert(mode="alert").text
    assert build_launchpad_url(load_settings(scaling_mode="propose"), "7001", "77") is None


USUAL = {
    "ad_name": "UGC hook A, 3 seconds",
    "ad_kind": "manual",
    "duplicable": "yes",
    "duplication_reason": "with it",
}


def test_usual_message_fits_into_discord() -> None:
    """With names of usual length the whole message fits into Discord's 2,000 characters."""
    assert len(build_sample_alert(**USUAL).markdown) < 1900


def test_compact_message_keeps_the_links() -> None:
    """A message too long for a chat keeps its sentences and links there, without facts and chart."""
    names = dict.fromkeys(("ad_name", "campaign_name", "runner_up_ad_name", "top_7d_ad_name"), "Long " * 16)
    alert = build_sample_alert(**USUAL | names, **SMART_PLUS)
    assert len(alert.markdown) > 1900 > len(alert.compact)
    for words in ("playground", "It can be duplicated", "of the Smart+ ad", alert.alert_id):
        assert words in alert.compact
    assert "█" not in alert.compact


SMART_PLUS: dict[str, Any] = {
    "smart_plus_ad_id": "1800000000000000999",
    "smart_plus_ad_name": HOSTILE_NAME,
    "smart_plus_ad_spend": "1700.0000",
    "smart_plus_ad_share": 0.726,
    "video_id": "v1003`<b>",
    "tiktok_item_id": "7312345678901234567",
    "media_ads": 3,
    "media_spend": "1500.0000",
    "media_share": 0.5,
}


def test_smart_plus_creative_is_told_with_its_ad_and_video() -> None:
    """The creative's Smart+ ad, its share of it, and the video's share in all creatives are in each format."""
    alert = build_sample_alert(ad_kind="upgraded_smart_plus", **SMART_PLUS)
    for shown in (alert.text, alert.markdown, _PageReader(alert.html).text):
        for fact in (
            "It is a creative of the Smart+ ad ",
            ", with 72.6% of that ad's 1,700.00 EUR. ",
            "The same video spent 1,500.00 EUR in 3 creatives of the campaign, 50.0% of its spend.",
            "1800000000000000077, Upgraded Smart+ creative",
            "(1800000000000000999)",
            "7312345678901234567",
            "View its Smart+ ad in TikTok Ads Manager",
        ):
            assert fact in shown
    assert "keyword=1800000000000000999" in alert.html
    assert _PageReader(alert.html).tags == _PageReader(build_sample_alert().html).tags
    assert "`v1003" in alert.markdown


@pytest.mark.parametrize("kind", [kind for kind in AD_KINDS if kind.phrase], ids=lambda kind: kind.name)
def test_each_kind_without_copies_says_why_and_what_to_do(kind: AdKind) -> None:
    """An ad of which no copy can be created is told with the reason and the steps, and without launchpad."""
    answers = {"duplicable": "by hand", "duplication_reason": kind.reason, "duplication_steps": kind.manual_steps}
    alert = build_sample_alert(ad_kind=kind.name, **answers)
    assert f"It cannot be duplicated from here: {kind.reason}. By hand: {kind.manual_steps}." in alert.text
    assert f"1800000000000000077, {kind.label}" in alert.text
    assert "playground" not in alert.text
    assert "ads.tiktok.com" in alert.text


def test_duplicable_ad_says_how() -> None:
    """An ad that can be duplicated names the scaling campaign, or the settings that are missing."""
    facts = {**USUAL, "scaling_campaign_name": "Scaling EU"}
    assert "It can be duplicated into Scaling EU, with it." in build_sample_alert(**facts).text
    assert "set TIKTOK_SCALING_MODE" in build_sample_alert(mode="alert", **facts).text


def test_previous_leader_is_shown_as_deleted() -> None:
    """A previous leader that was deleted meanwhile is said to be."""
    alert = build_sample_alert(previous_ad_id="1", previous_ad_name="Old", previous_is_deleted=True)
    assert "Before, the leader was Old, which is deleted." in alert.text


def test_runner_up_of_the_same_name_has_its_id() -> None:
    """Creatives of one ad can have one name, so the runner-up is told apart by its id."""
    alert = build_sample_alert(runner_up_ad_name=HOSTILE_NAME)
    assert "(1800000000000000078) (1,100.00 EUR) by" in alert.text


def test_brief_format_is_short() -> None:
    """The brief format has no numbers and links, and still the alert's id."""
    alert = build_sample_alert()
    assert len(alert.brief) < 600
    assert "Alert 9f2c1b7a33d04e15." in alert.brief
    assert "http" not in alert.brief.replace("http:", "")


@pytest.mark.parametrize(
    ("currency", "shown"), [("USD", "1,211.81 USD"), ("JPY", "1,212 JPY"), ("KRW", "1,212 KRW")]
)
def test_amounts_have_the_digits_of_their_currency(currency: str, shown: str) -> None:
    """Amounts in yen and won have no decimals."""
    alert = build_top_spender_alert("a1", FACTS | {"currency": currency, "spend": "1211.81"}, load_settings())
    assert shown in alert.text
    assert shown in alert.markdown
