"""Escape untrusted text for terminals, messages, Markdown, JSON and spreadsheets."""

import json
import re
import unicodedata

_CONTROL_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of control and format characters, lone surrogates and line separators."""

WORD_JOINER = "\N{WORD JOINER}"
"""An invisible character of no width that cannot be part of a URL, so that the text around it is not linked."""

_ALLOWED_FORMAT_CHARACTERS = frozenset({WORD_JOINER, "\N{ZERO WIDTH JOINER}", "\N{ZERO WIDTH NON-JOINER}"})
"""Format characters that emoji, Persian and Indic words contain."""

_MARKDOWN_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
"""The characters that can be escaped with a backslash (CommonMark 2.4)."""

_MENTION_OR_LINK = re.compile(r"@(?=\S)|<(?=\S)|\](?=\()|/(?=/)|www(?=\.)|mailto(?=:)", re.IGNORECASE)
_HOST_DOT = re.compile(r"(?<![\s\d.])\.(?=[\w-])|(?<=\d)\.(?=[^\W\d]|-)")

_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r", "\n")


def escape_control_characters(text: str) -> str:
    r"""Replace every control character by its escape sequence, so that no terminal, page or log interprets it.

    >>> escape_control_characters("\x1b[2J a\tb \u202eevil") == r"\x1b[2J a\tb \u202eevil"
    True
    """
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode() if _is_control_character(character) else character
        for character in text
    )


def disable_links(text: str) -> str:
    """Prevent chats and mail programs from turning parts of a text into mentions, links or host names.

    The text looks the same; a `WORD_JOINER` is inserted wherever a mention or a link would start.
    """
    without_links = _MENTION_OR_LINK.sub(lambda match: f"{match[0]}{WORD_JOINER}", escape_control_characters(text))
    return _HOST_DOT.sub(f"{WORD_JOINER}.{WORD_JOINER}", without_links)


def escape_markdown(text: str) -> str:
    """Escape a text as Markdown that renders as this text on one line, without links, images, mentions or HTML.

    The backslashes alone do not suffice: Dagster's UI searches the rendered text for URLs.
    """
    return _MARKDOWN_PUNCTUATION.sub(r"\\\1", re.sub(r"\s+", " ", disable_links(text)))


def escape_json(document: str) -> str:
    """Escape the control characters in a JSON document, except for its line breaks; its value stays the same."""
    if document.isprintable():
        return document
    return "".join(
        json.dumps(character)[1:-1] if character not in "\n\t" and _is_control_character(character) else character
        for character in document
    ).replace("\x7f", "\\u007f")


def escape_spreadsheet_cell(text: str) -> str:
    """Prefix a cell with an apostrophe if a spreadsheet would evaluate it as a formula.

    >>> escape_spreadsheet_cell("=1+1"), escape_spreadsheet_cell("Spring")
    ("'=1+1", 'Spring')
    """
    return f"'{text}" if text.startswith(_FORMULA_PREFIXES) else text


def _is_control_character(character: str) -> bool:
    return unicodedata.category(character) in _CONTROL_CATEGORIES and character not in _ALLOWED_FORMAT_CHARACTERS
