"""Show text from outside as text: on a terminal, in a message, in Markdown, in JSON and in a spreadsheet."""

import json
import re
import unicodedata

_CONTROL_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of control and format characters, lone surrogates and line ends."""

WORD_JOINER = "\N{WORD JOINER}"
"""Invisible, without width, and not part of any address: it keeps what stands around it from being a link."""

_ALLOWED_FORMAT_CHARACTERS = frozenset({WORD_JOINER, "\N{ZERO WIDTH JOINER}", "\N{ZERO WIDTH NON-JOINER}"})
"""Format characters that emoji, Persian and Indic words are written with."""

_MARKDOWN_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
"""What a backslash makes plain (CommonMark 2.4). No maintained library only escapes: those at hand render."""

_MENTION_OR_LINK = re.compile(r"@(?=\S)|<(?=\S)|\](?=\()|/(?=/)|www(?=\.)|mailto(?=:)", re.IGNORECASE)
_HOST_DOT = re.compile(r"(?<![\s\d.])\.(?=[\w-])|(?<=\d)\.(?=[^\W\d]|-)")

_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r", "\n")


def escape_control_characters(text: str) -> str:
    r"""Replace every control character by its escape, so that no terminal, page or log obeys it.

    >>> visible("\x1b[2J a\tb \u202eevil") == r"\x1b[2J a\tb \u202eevil"
    True
    """
    if text.isprintable():
        return text
    return "".join(one.encode("unicode_escape").decode() if _is_control_character(one) else one for one in text)


def disable_links(text: str) -> str:
    """Show a text where chats and mail programs look for mentions, links and bare host names by themselves.

    It reads the same; an invisible joiner stands in each place that would make it one.
    """
    stopped = _MENTION_OR_LINK.sub(lambda found: f"{found[0]}{WORD_JOINER}", escape_control_characters(text))
    return _HOST_DOT.sub(f"{WORD_JOINER}.{WORD_JOINER}", stopped)


def escape_markdown(text: str) -> str:
    """Write a text as Markdown that renders as that text on one line: no link, picture, mention or HTML in it.

    The joiners are needed beside the backslashes: Dagster's page looks for addresses in the finished text.
    """
    return _MARKDOWN_PUNCTUATION.sub(r"\\\1", re.sub(r"\s+", " ", disable_links(text)))


def escape_json(document: str) -> str:
    """Escape the control characters of a JSON document, its line ends aside; what it says stays the same."""
    if document.isprintable():
        return document
    return "".join(
        json.dumps(one)[1:-1] if one not in "\n\t" and _is_control_character(one) else one for one in document
    ).replace("\x7f", "\\u007f")


def escape_spreadsheet_cell(text: str) -> str:
    """Quote a text cell that a spreadsheet would run as a formula.

    >>> spreadsheet_text("=1+1"), spreadsheet_text("Spring")
    ("'=1+1", 'Spring')
    """
    return f"'{text}" if text.startswith(_FORMULA_PREFIXES) else text


def _is_control_character(one: str) -> bool:
    return unicodedata.category(one) in _CONTROL_CATEGORIES and one not in _ALLOWED_FORMAT_CHARACTERS
