"""Names of campaigns and ads that terminals, chats, browsers or spreadsheets could interpret."""

import unicodedata

from hypothesis import strategies as st

FRAGMENTS = (
    "[retargeting] Spring [us]",
    "cat [/video]",
    "[/]",
    "[bold red]sale[/bold red]",
    "[link=http://evil.example]x[/link]",
    ":smile:",
    "\x1b[2J",
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x9b2J",
    "\a",
    "\b\b\b",
    "\x00",
    "\x7f",
    "\u202egpj.exe",
    "\u2066x\u2069",
    "\u2028",
    "a\tb",
    "one\nok           the token is accepted",
    "one\r\ntwo",
    "<!channel>",
    "<!here|here>",
    "<@U12345>",
    "<#C12345>",
    "<at>everyone</at>",
    "@everyone",
    "@here",
    "<http://evil.example|click>",
    "[x](http://evil.example)",
    "![x](http://evil.example/x.png)",
    "http://evil.example/a?b=1",
    "www.evil.com",
    "WWW.4chan.org",
    "www..evil.com",
    "evil.com",
    "mail@evil.com",
    "mailto:mail@evil.com",
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "</td></table>",
    "&lt;b&gt;",
    "{{ 7 * 7 }}{% raw %}",
    "**bold** _it_ ~~gone~~ `code`",
    "```\n# big",
    "| a | b |",
    "> quote",
    "- item",
    "1. item",
    "\\[x\\]",
    '=HYPERLINK("http://evil.example")',
    "+1",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "Summer_Sale|EU v1.2",
    "夏の動画 🎬",
)

FRAGMENT_NAMES = st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=4).map("".join)
HOSTILE_NAMES = (
    FRAGMENT_NAMES | st.text(min_size=1, max_size=40) | st.builds(str.__add__, FRAGMENT_NAMES, st.text(max_size=8))
)

ALL_FRAGMENTS = " ".join(FRAGMENTS)


def control_characters_in(text: str, *, allowed: str = "") -> set[str]:
    """Return the control characters of a text, which must not reach a terminal, a page or a message."""
    joiners = "\u200c\u200d\u2060"
    return {
        one
        for one in text
        if one not in allowed + joiners and unicodedata.category(one) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
    }


def visible_text(text: str) -> str:
    """Return the text a person sees: whitespace collapsed, characters without width removed."""
    return " ".join(text.replace("\u2060", "").split())
