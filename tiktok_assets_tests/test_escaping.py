"""Tests of escaping: untrusted text is shown as text, with control characters as escape sequences."""

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

LINKS_IN_DAGSTER = (
    re.compile(r"(https?://|www(?=\.))([-.\w]+)([^ \t\r\n]*)", re.IGNORECASE | re.ASCII),
    re.compile(r"([-.\w+]+)@([-\w]+(?:\.[-\w]+)+)", re.ASCII),
)
"""What mdast-util-gfm-autolink-literal, which renders Markdown in Dagster's UI, turns into links in plain text."""


def text_of(markdown: str) -> str:
    """Render one paragraph of Markdown; anything but text is shown by its token type."""
    opened, inline, closed = GFM.parse(markdown)
    assert (opened.type, closed.type) == ("paragraph_open", "paragraph_close")
    return "".join(
        c.content if c.type in {"text", "text_special"} else f"<{c.type}>" for c in inline.children or []
    )


@example(ALL_FRAGMENTS)
@given(HOSTILE_NAMES)
def test_control_characters_are_escaped(name: str) -> None:
    """No control character is left, and escaping again changes nothing."""
    escaped = escape_control_characters(name)
    assert control_characters_in(escaped) == set()
    assert escape_control_characters(escaped) == escaped
    if control_characters_in(name) == set():
        assert escaped == name


def test_escapes_are_those_of_python() -> None:
    """Escape sequences, bells, bidi overrides, tabs and line ends are escaped as in Python."""
    assert escape_control_characters("\x1b[2J\a\u202e\t\n\x9b\ud83d") == r"\x1b[2J\x07\u202e\t\n\x9b\ud83d"
    assert escape_control_characters("👩‍👧 می‌خواهم") == "👩‍👧 می‌خواهم"


@example(ALL_FRAGMENTS)
@given(HOSTILE_NAMES)
def test_no_link_is_found_after_disable_links(name: str) -> None:
    """A program that links URLs, host names and mail addresses finds none."""
    escaped = disable_links(name)
    assert LinkifyIt().match(escaped) is None
    assert [one.pattern for one in LINKS_IN_DAGSTER if one.search(escaped)] == []
    assert visible_text(escaped) == visible_text(escape_control_characters(name))
    for mention in ("@everyone", "@here", "<!", "<@", "<#", "<at>", "<http", "<script", "](", "://"):
        assert mention not in escaped


@example(ALL_FRAGMENTS)
@given(HOSTILE_NAMES)
def test_escaped_markdown_renders_as_text(name: str) -> None:
    """A renderer with autolinks shows the name, without links, images, emphasis or HTML."""
    escaped = escape_markdown(f"a{name}")
    assert visible_text(text_of(escaped)) == visible_text(escape_control_characters(f"a{name}"))
    assert [one.pattern for one in LINKS_IN_DAGSTER if one.search(text_of(escaped))] == []


@example(ALL_FRAGMENTS)
@given(HOSTILE_NAMES)
def test_escaped_json_has_the_same_value(name: str) -> None:
    """A document with escaped control characters has the same value."""
    document = escape_json(json.dumps({"name": name}, ensure_ascii=False, indent=2))
    assert json.loads(document) == {"name": name}
    assert control_characters_in(document, allowed="\n") == set()


@example("=1+1")
@given(HOSTILE_NAMES)
def test_spreadsheet_cell_is_never_a_formula(name: str) -> None:
    """A cell never starts like a formula, and is otherwise unchanged after a roundtrip through CSV."""
    written = io.StringIO()
    csv.writer(written).writerow([escape_spreadsheet_cell(name), "after"])
    ((cell, after),) = csv.reader(io.StringIO(written.getvalue(), newline=""))
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert (cell.removeprefix("'"), after) == (name.removeprefix("'"), "after")


def test_numbers_and_versions_keep_their_dots() -> None:
    """Text that contains no host name is unchanged."""
    for plain in ("v1.2", "1,234.50 EUR", "Spring (EU)", "50% off!", "a . b"):
        assert disable_links(plain) == plain
    assert set(FRAGMENTS) - {escape_control_characters(one) for one in FRAGMENTS}
