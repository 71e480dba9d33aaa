"""Format one message as plain text, Markdown for chat and HTML for mail; untrusted names are escaped in each."""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from html import escape
from typing import Any

from tiktok_assets.escaping import WORD_JOINER, disable_links, escape_control_characters
from tiktok_assets.spec import format_amount_with_currency

BAR_CELLS = 20
"""Length of the longest bar in the text formats, in characters."""
MAX_UNTRUSTED_LENGTH = 80
MAX_BAR_LABEL_COLUMNS = 26

_BACKTICK_REPLACEMENT = "\N{MODIFIER LETTER GRAVE ACCENT}"
_BACKSLASH = "\\"
_FULL_PERCENT = 100
_BLUE, _GREY, _PALE, _RULE = "#2f6fed", "#9aa3b2", "#eef1f6", "#e3e7ee"
_LINE = f"border-top:1px solid {_RULE}"
_FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"


@dataclass(frozen=True, slots=True)
class UntrustedText:
    """Text from outside, such as an ad's name: every format shows it as text and never interprets it.

    Attributes:
        text: as it was received.
        max_length: longer text is cut to so many characters.
    """

    text: str
    max_length: int = MAX_UNTRUSTED_LENGTH

    @property
    def plain(self) -> str:
        """The text on one line, with control characters escaped, cut to `max_length`."""
        shown = " ".join(escape_control_characters(self.text).split())
        return shown if len(shown) <= self.max_length else f"{shown[: self.max_length - 1]}…"


RichText = str | UntrustedText | tuple["str | UntrustedText", ...]
"""Our own text, untrusted text, or a sequence of both."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart: label, amount as text, and length as a fraction of the longest bar (0 to 1)."""

    label: UntrustedText
    amount: str
    fraction: float
    is_main: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A labelled URL."""

    label: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The content of a message, independent of its format.

    Attributes:
        title: the first line.
        paragraphs: the text below the title.
        facts: rows of label and value.
        bars: a bar chart.
        links: URLs to open.
        footer: the last line.
    """

    title: RichText
    paragraphs: tuple[RichText, ...]
    facts: tuple[tuple[str, RichText], ...] = ()
    bars: tuple[Bar, ...] = ()
    links: tuple[Link, ...] = ()
    footer: str = ""

    @property
    def subject(self) -> str:
        """The title on one line of plain text."""
        return "".join(one.plain if isinstance(one, UntrustedText) else one for one in _iterate(self.title))

    @property
    def brief(self) -> str:
        """Plain text without facts, chart and links, for channels with short messages."""
        return _join_blocks(
            [format_plain_text(self.title), *(format_plain_text(text) for text in self.paragraphs), self.footer]
        )

    @property
    def compact(self) -> str:
        """The Markdown without facts and chart, for chats that take too little for the whole of it."""
        return replace(self, facts=(), bars=()).markdown

    @property
    def text(self) -> str:
        """The whole message as plain text."""
        blocks = [format_plain_text(self.title), *(format_plain_text(text) for text in self.paragraphs)]
        blocks.append(_format_text_bars(self.bars))
        blocks.append("\n".join(f"{label}: {format_plain_text(text)}" for label, text in self.facts))
        blocks.append("\n".join(f"{link.label}: {link.url}" for link in self.links))
        return _join_blocks([*blocks, self.footer])

    @property
    def markdown(self) -> str:
        """CommonMark that Slack, Teams, Mattermost and Discord render alike: bold, code, lists and links only."""
        blocks = [f"**{format_markdown(self.title)}**", *(format_markdown(text) for text in self.paragraphs)]
        blocks.append(f"```\n{_format_text_bars(self.bars)}\n```" if self.bars else "")
        blocks.append("\n".join(f"- **{label}:** {format_markdown(text)}" for label, text in self.facts))
        if self.links:  # without a line between them the two lists would be rendered as one
            blocks += [
                "Links:",
                "\n".join(f"- [{link.label}]({_escape_markdown_url(link.url)})" for link in self.links),
            ]
        return _join_blocks([*blocks, self.footer])

    @property
    def html(self) -> str:
        """HTML for mail: tables with inline styles only; no image, script or remote address."""
        body = "".join(f'<p style="margin:0 0 12px">{format_html(text)}</p>' for text in self.paragraphs)
        facts = "".join(
            f'<tr><td style="padding:5px 14px 5px 0;color:#5b6474;vertical-align:top;{_LINE}">'
            f"{escape(label)}</td>"
            f'<td style="padding:5px 0;overflow-wrap:anywhere;{_LINE}">{format_html(text)}</td></tr>'
            for label, text in self.facts
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
            f"{_format_html_bars(self.bars)}{_format_html_table(facts)}{links}{footer}</div>"
        )


def format_plain_text(text: RichText) -> str:
    """Format as plain text in which untrusted text forms no mention and no link."""
    return "".join(disable_links(one.plain) if isinstance(one, UntrustedText) else one for one in _iterate(text))


def format_markdown(text: RichText) -> str:
    """Format as Markdown with untrusted text as inline code, where chats ignore `*`, `<!here>` and `@channel`."""
    return "".join(_format_code(one) if isinstance(one, UntrustedText) else one for one in _iterate(text))


def format_html(text: RichText) -> str:
    """Format as escaped HTML with untrusted text in bold and without anything mail programs turn into a link."""
    return "".join(
        f"<b>{escape(disable_links(one.plain))}</b>" if isinstance(one, UntrustedText) else escape(one)
        for one in _iterate(text)
    )


def format_instant(value: datetime | str) -> str:
    """Format an aware instant, given as such or as ISO 8601 text, to the minute in UTC."""
    instant = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    instant = instant.astimezone(UTC)
    return f"{instant.day} {instant:%B %Y, %H:%M} UTC"


def format_footer(alert_id: str, rule: str) -> str:
    """Format the last line of an alert: its id, and how often such an event is reported."""
    return f"Alert {alert_id}. {rule}"


def _iterate(text: RichText) -> Iterable["str | UntrustedText"]:
    return text if isinstance(text, tuple) else (text,)


def _format_code(untrusted: UntrustedText) -> str:
    shown = _escape_code(untrusted.plain) or " "
    # Apprise takes a backslash before the closing backtick for an escape, and the code before it for markup.
    return f"`{shown}{WORD_JOINER if shown.endswith(_BACKSLASH) else ''}`"


def _escape_code(text: str) -> str:
    """Remove what some chats interpret even inside code."""
    return disable_links(text.replace("`", _BACKTICK_REPLACEMENT))


def _escape_markdown_url(url: str) -> str:
    return url.replace("(", "%28").replace(")", "%29").replace("<", "%3C").replace(">", "%3E")


def _format_text_bars(bars: tuple[Bar, ...]) -> str:
    labels = [_cut_label(_escape_code(bar.label.plain)) for bar in bars]
    width = max((_count_columns(label) for label in labels), default=0)
    amounts = max((len(bar.amount) for bar in bars), default=0)
    return "\n".join(
        f"{label}{' ' * (width - _count_columns(label))}  {bar.amount:>{amounts}}  {_format_cells(bar.fraction)}"
        for label, bar in zip(labels, bars, strict=True)
    )


def _format_cells(fraction: float) -> str:
    full = round(fraction * BAR_CELLS)
    return "█" * max(full, 1 if fraction > 0 else 0)


def _cut_label(label: str) -> str:
    if _count_columns(label) <= MAX_BAR_LABEL_COLUMNS:
        return label
    while label and _count_columns(label) > MAX_BAR_LABEL_COLUMNS - 1:
        label = label[:-1]
    return f"{label}…"


def _count_columns(text: str) -> int:
    """Count the columns of a text in a fixed-width font: wide characters take two, joiners and accents none."""
    widths = (
        unicodedata.east_asian_width(one) for one in text if not unicodedata.combining(one) and one != WORD_JOINER
    )
    return sum(2 if width in "WF" else 1 for width in widths)


def _format_html_bars(bars: tuple[Bar, ...]) -> str:
    return _format_html_table("".join(_format_html_bar(bar) for bar in bars))


def _format_html_bar(bar: Bar) -> str:
    """Draw a bar as table cells with a width and a colour, which every mail program renders."""
    width = max(round(bar.fraction * _FULL_PERCENT), 1 if bar.fraction > 0 else 0)
    label = escape(disable_links(bar.label.plain))
    cell = "height:10px;line-height:10px;font-size:1px"
    filled = f'<td width="{width}%" style="background:{_BLUE if bar.is_main else _GREY};{cell}">&nbsp;</td>'
    rest = f'<td style="background:{_PALE};{cell}">&nbsp;</td>'
    line = f"{filled if width else ''}{rest if width < _FULL_PERCENT else ''}"
    return (
        f'<tr><td style="padding:4px 12px 2px 0;overflow-wrap:anywhere">{label}</td>'
        f'<td style="padding:4px 0 2px;text-align:right;white-space:nowrap">{escape(bar.amount)}</td></tr>'
        '<tr><td colspan="2" style="padding:0 0 6px"><table role="presentation" width="100%" cellpadding="0" '
        f'cellspacing="0" style="border-collapse:collapse"><tr>{line}</tr></table></td></tr>'
    )


def _format_html_table(rows: str) -> str:
    if not rows:
        return ""
    start = '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" '
    return f'{start}style="border-collapse:collapse;margin:0 0 14px;font-size:14px">{rows}</table>'


def _join_blocks(blocks: Iterable[str]) -> str:
    return "\n\n".join(block for block in blocks if block)


def format_fact_name(facts: Mapping[str, Any], name: str, key: str) -> UntrustedText:
    """Return a name of the facts of an alert; the id where there is none."""
    return UntrustedText(str(facts.get(name) or facts[key]))


def format_fact_amount(amount: object, facts: Mapping[str, Any]) -> str:
    """Format an amount in the currency of the facts of an alert; facts that were stored have it as text."""
    return format_amount_with_currency(Decimal(str(amount)), str(facts.get("currency") or ""))
