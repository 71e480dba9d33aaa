"""Format one message as plain text, Markdown for chat and HTML for mail; untrusted names are escaped in each."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from tiktok_assets.escaping import WORD_JOINER, disable_links, escape_control_characters

BAR_CELLS = 20
MAX_UNTRUSTED_LENGTH = 80
_NO_BACKTICK = "\N{MODIFIER LETTER GRAVE ACCENT}"
_BACKSLASH = "\\"
_FULL = 100  # percent
_BLUE, _GREY, _PALE, _RULE = "#2f6fed", "#9aa3b2", "#eef1f6", "#e3e7ee"
_LINE = f"border-top:1px solid {_RULE}"
_FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"


@dataclass(frozen=True, slots=True)
class UntrustedText:
    """Words of somebody else, such as an ad's name: shown, never obeyed."""

    text: str
    most: int = MAX_UNTRUSTED_LENGTH

    @property
    def plain(self) -> str:
        """Shown on one line, control characters as their escape, and not too long."""
        shown = " ".join(escape_control_characters(self.text).split())
        return shown if len(shown) <= self.most else f"{shown[: self.most - 1]}…"


RichText = str | UntrustedText | tuple["str | UntrustedText", ...]
"""A sentence of ours, perhaps with names in it."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of the chart: whose, how much in words, and which part of the longest (0 to 1)."""

    label: UntrustedText
    amount: str
    part: float
    is_main: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """Where to go on: a URL, and what is found there."""

    label: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a message says, before it has a form."""

    title: RichText
    sentences: tuple[RichText, ...]
    facts: tuple[tuple[str, RichText], ...] = ()
    bars: tuple[Bar, ...] = ()
    links: tuple[Link, ...] = ()
    footer: str = ""

    @property
    def subject(self) -> str:
        """The title on one line of plain text."""
        return "".join(one.plain if isinstance(one, UntrustedText) else one for one in _each(self.title))

    @property
    def brief(self) -> str:
        """Plain text without numbers and links."""
        return _joined(
            [format_plain_text(self.title), *(format_plain_text(words) for words in self.sentences), self.footer]
        )

    @property
    def text(self) -> str:
        """Plain text, for whatever shows no format."""
        parts = [format_plain_text(self.title), *(format_plain_text(words) for words in self.sentences)]
        parts.append(_text_bars(self.bars))
        parts.append("\n".join(f"{label}: {format_plain_text(words)}" for label, words in self.facts))
        parts.append("\n".join(f"{link.label}: {link.url}" for link in self.links))
        return _joined([*parts, self.footer])

    @property
    def markdown(self) -> str:
        """CommonMark that Slack, Teams, Mattermost and Discord show alike: bold, code, lists and links only."""
        parts = [f"**{format_markdown(self.title)}**", *(format_markdown(words) for words in self.sentences)]
        parts.append(f"```\n{_text_bars(self.bars)}\n```" if self.bars else "")
        parts.append("\n".join(f"- **{label}:** {format_markdown(words)}" for label, words in self.facts))
        if self.links:  # a line of their own, or the two lists would be one
            parts += [
                "Go on to:",
                "\n".join(f"- [{link.label}]({_markdown_url(link.url)})" for link in self.links),
            ]
        return _joined([*parts, self.footer])

    @property
    def html(self) -> str:
        """Tables with inline styles, which is what mail programs show; no image, script or remote address."""
        body = "".join(f'<p style="margin:0 0 12px">{format_html(words)}</p>' for words in self.sentences)
        facts = "".join(
            f'<tr><td style="padding:5px 14px 5px 0;color:#5b6474;vertical-align:top;{_LINE}">'
            f"{escape(label)}</td>"
            f'<td style="padding:5px 0;overflow-wrap:anywhere;{_LINE}">{format_html(words)}</td></tr>'
            for label, words in self.facts
        )
        links = "".join(
            f'<p style="margin:8px 0 0"><a style="color:{_BLUE}" href="{escape(link.url)}">'
            f"{escape(link.label)}</a></p>"
            for link in self.links
        )
        footer = f'<p style="margin:18px 0 0;color:#5b6474;font-size:12px">{escape(self.footer)}</p>'
        return (
            f'<div style="{_FONT};font-size:14px;line-height:1.5;color:#1c2330;background:#ffffff;max-width:600px;'
            f'border:1px solid {_RULE};border-radius:8px;padding:20px 24px">'
            f'<h1 style="margin:0 0 12px;font-size:19px;line-height:1.3">{format_html(self.title)}</h1>{body}'
            f"{_html_bars(self.bars)}{_html_table(facts)}{links}{footer}</div>"
        )


def format_plain_text(words: RichText) -> str:
    """Names as they are, but that nobody is called by them, and no mail program makes a link of one."""
    return "".join(disable_links(one.plain) if isinstance(one, UntrustedText) else one for one in _each(words))


def format_markdown(words: RichText) -> str:
    """Names as code: the one form in which every chat shows `*`, `|`, `<!here>` and `@channel` as written."""
    return "".join(_code(one) if isinstance(one, UntrustedText) else one for one in _each(words))


def format_html(words: RichText) -> str:
    """Names in bold, all of it escaped; mail programs look for addresses in what is shown."""
    return "".join(
        f"<b>{escape(disable_links(one.plain))}</b>" if isinstance(one, UntrustedText) else escape(one)
        for one in _each(words)
    )


def _each(words: RichText) -> Iterable["str | UntrustedText"]:
    return words if isinstance(words, tuple) else (words,)


def _code(name: UntrustedText) -> str:
    shown = _in_code(name.plain) or " "
    # Apprise takes a backslash before the closing mark for an escape, and what stands before it for markup.
    return f"`{shown}{WORD_JOINER if shown.endswith(_BACKSLASH) else ''}`"


def _in_code(text: str) -> str:
    """Without what some chats obey even inside code."""
    return disable_links(text.replace("`", _NO_BACKTICK))


def _markdown_url(url: str) -> str:
    return url.replace("(", "%28").replace(")", "%29").replace("<", "%3C").replace(">", "%3E")


def _text_bars(bars: tuple[Bar, ...]) -> str:
    shown = [_fitted(_in_code(bar.label.plain)) for bar in bars]
    width = max((_columns(label) for label in shown), default=0)
    amounts = max((len(bar.amount) for bar in bars), default=0)
    return "\n".join(
        f"{label}{' ' * (width - _columns(label))}  {bar.amount:>{amounts}}  {_cells(bar.part)}"
        for label, bar in zip(shown, bars, strict=True)
    )


def _cells(part: float) -> str:
    full = round(part * BAR_CELLS)
    return "█" * max(full, 1 if part > 0 else 0)


def _fitted(label: str, most: int = 26) -> str:
    if _columns(label) <= most:
        return label
    while label and _columns(label) > most - 1:
        label = label[:-1]
    return f"{label}…"


def _columns(text: str) -> int:
    """How wide a text is in a fixed-width face: Chinese and emoji take two, joiners and accents none."""
    widths = (
        unicodedata.east_asian_width(one) for one in text if not unicodedata.combining(one) and one != WORD_JOINER
    )
    return sum(2 if width in "WF" else 1 for width in widths)


def _html_bars(bars: tuple[Bar, ...]) -> str:
    return _html_table("".join(_html_bar(bar) for bar in bars))


def _html_bar(bar: Bar) -> str:
    """Cells with a width and a colour: the one chart every mail program draws."""
    width = max(round(bar.part * _FULL), 1 if bar.part > 0 else 0)
    cell = "height:10px;line-height:10px;font-size:1px"
    filled = f'<td width="{width}%" style="background:{_BLUE if bar.is_main else _GREY};{cell}">&nbsp;</td>'
    rest = f'<td style="background:{_PALE};{cell}">&nbsp;</td>'
    line = f"{filled if width else ''}{rest if width < _FULL else ''}"
    return (
        f'<tr><td style="padding:4px 12px 2px 0;overflow-wrap:anywhere">{escape(disable_links(bar.label.plain))}</td>'
        f'<td style="padding:4px 0 2px;text-align:right;white-space:nowrap">{escape(bar.amount)}</td></tr>'
        '<tr><td colspan="2" style="padding:0 0 6px"><table role="presentation" width="100%" cellpadding="0" '
        f'cellspacing="0" style="border-collapse:collapse"><tr>{line}</tr></table></td></tr>'
    )


def _html_table(rows: str) -> str:
    if not rows:
        return ""
    start = '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" '
    return f'{start}style="border-collapse:collapse;margin:0 0 14px;font-size:14px">{rows}</table>'


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part)
