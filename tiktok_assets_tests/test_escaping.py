"""Laws of text from outside: whatever it holds, it is read as text, and every control character as its escape."""

import csv
import io
import json
import re

from hypothesis import example, given
from linkify_it import LinkifyIt
from markdown_it import MarkdownIt

from tiktok_assets.escaping import (
    disable_links,
    escape_control_characters,
    escape_json,
    escape_markdown,
    escape_spreadsheet_cell,
)
from tiktok_assets_tests.hostile_names import (
    ALL_FRAGMENTS,
    FRAGMENTS,
    HOSTILE_NAMES,
    control_characters_in,
    visible_text,
)

GFM = MarkdownIt("gfm-like", {"linkify": True})

LINKS_OF_DAGSTERS_PAGE = (
    re.compile(r"(https?://|www(?=\.))([-.\w]+)([^ \t\r\n]*)", re.IGNORECASE | re.ASCII),
    re.compile(r"([-.\w+]+)@([-\w]+(?:\.[-\w]+)+)", re.ASCII),
)
"""What mdast-util-gfm-autolink-literal, of which Dagster's page has its Markdown, makes links of in plain text."""


def text_of(markdown: str) -> str:
    """What a renderer shows of one paragraph; anything in it but text is named by its kind."""
    opened, inline, closed = GFM.parse(markdown)
    assert (opened.type, closed.type) == ("paragraph_open", "paragraph_close")
    return "".join(
        c.content if c.type in {"text", "text_special"} else f"<{c.type}>" for c in inline.children or []
    )


@example(ALL_FRAGMENTS)
@given(HOSTILE_NAMES)
def test_control_characters_are_shown_as_their_escape(name: str) -> None:
    """No control character is left, the escapes say which there were, and a second time changes nothing."""
    shown = escape_control_characters(name)
    assert control_characters_in(shown) == set()
    assert escape_control_characters(shown) == shown
    if control_characters_in(name) == set():
        assert shown == name


def test_the_escapes_are_those_programmers_know() -> None:
    """An escape sequence, a bell, a bidi override, a tab and a line end are named as Python writes them."""
    assert escape_control_characters("\x1b[2J\a\u202e\t\n\x9b\ud83d") == r"\x1b[2J\x07\u202e\t\n\x9b\ud83d"
    assert escape_control_characters("👩‍👧 می‌خواهم") == "👩‍👧 می‌خواهم"


@example(ALL_FRAGMENTS)
@given(HOSTILE_NAMES)
def test_nothing_finds_a_link_in_an_unlinked_name(name: str) -> None:
    """A program that makes links of addresses, host names and mail addresses by itself finds none."""
    shown = disable_links(name)
    assert LinkifyIt().match(shown) is None
    assert [one.pattern for one in LINKS_OF_DAGSTERS_PAGE if one.search(shown)] == []
    assert visible_text(shown) == visible_text(escape_control_characters(name))
    for call in ("@everyone", "@here", "<!", "<@", "<#", "<at>", "<http", "<script", "](", "://"):
        assert call not in shown


@example(ALL_FRAGMENTS)
@given(HOSTILE_NAMES)
def test_a_name_in_markdown_is_text(name: str) -> None:
    """A renderer with autolinks on shows the name, and makes no link, picture, emphasis or HTML of it."""
    shown = escape_markdown(f"a{name}")
    assert visible_text(text_of(shown)) == visible_text(escape_control_characters(f"a{name}"))
    assert [one.pattern for one in LINKS_OF_DAGSTERS_PAGE if one.search(text_of(shown))] == []


@example(ALL_FRAGMENTS)
@given(HOSTILE_NAMES)
def test_json_stays_exact_and_shows_no_control_character(name: str) -> None:
    """A document says the same with its control characters escaped."""
    document = escape_json(json.dumps({"name": name}, ensure_ascii=False, indent=2))
    assert json.loads(document) == {"name": name}
    assert control_characters_in(document, allowed="\n") == set()


@example("=1+1")
@given(HOSTILE_NAMES)
def test_a_spreadsheet_runs_no_name(name: str) -> None:
    """A cell never begins as a formula does, and comes back from CSV as it was, but for the quote before it."""
    written = io.StringIO()
    csv.writer(written).writerow([escape_spreadsheet_cell(name), "after"])
    ((cell, after),) = csv.reader(io.StringIO(written.getvalue(), newline=""))
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert (cell.removeprefix("'"), after) == (name.removeprefix("'"), "after")


def test_numbers_and_versions_keep_their_dots() -> None:
    """What is no host name is left alone to the last character."""
    for plain in ("v1.2", "1,234.50 EUR", "Spring (EU)", "50% off!", "a . b"):
        assert disable_links(plain) == plain
    assert set(FRAGMENTS) - {escape_control_characters(one) for one in FRAGMENTS}
