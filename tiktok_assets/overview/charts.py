"""Draw small SVG charts, and build Vega-Lite specifications with the JavaScript that renders them.

The SVG charts are written without a chart library: each is stored in the event log with its materialization,
and importing a library in every run to draw a line of 30 points would be slow.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

ROWS_DATASET = "rows"
"""The name of the dataset in every specification; one specification is used with the rows of many charts."""

_BLUE, _GREY = (
    "#4a7dff",
    "#7a7f87",
)  # readable on white and on black, because an image cannot follow the theme of the page
_BARS_LEFT, _MAX_BAR_LENGTH, _ROW_HEIGHT = (
    180,
    240,
    22,
)  # x of the bars, length of the longest bar, and height of a row, in pixels
_MAX_LABEL_LENGTH = 24


def draw_sparkline(values: Sequence[float | None], *, width: int = 240, height: int = 48) -> str:
    """Draw a line without axes from zero to the largest value as SVG; a missing value is a gap.

    Args:
        values: drawn at equal distances.
        width: in pixels.
        height: in pixels.
    """
    top = max((value for value in values if value is not None), default=0) or 1
    step = (width - 8) / max(len(values) - 1, 1)
    points = [
        None if value is None else (round(4 + index * step, 1), round(height - 4 - (height - 8) * value / top, 1))
        for index, value in enumerate(values)
    ]
    path, pen = "", "M"
    for point in points:
        path += f"{pen}{point[0]:g} {point[1]:g}" if point else ""
        pen = "L" if point else "M"
    drawn = [point for point in points if point]
    dots = f"<circle cx='{drawn[-1][0]:g}' cy='{drawn[-1][1]:g}' r='3' fill='{_BLUE}'/>" if drawn else ""
    base = f"<path d='M4 {height - 4}H{width - 4}' stroke='{_GREY}' stroke-opacity='.5'/>"
    line = f"<path d='{path}' fill='none' stroke='{_BLUE}' stroke-width='2' stroke-linejoin='round'/>"
    return _build_svg(width, height, base + line + dots)


def draw_ranked_bars(rows: Sequence[tuple[str, float, str]]) -> str:
    """Draw horizontal bars as SVG, in the given order.

    Args:
        rows: the label, the length (not negative), and the text beside each bar.
    """
    longest = max((length for _, length, _ in rows), default=0) or 1
    bars, texts = "", ""
    for index, (label, length, text) in enumerate(rows):
        y, bar_length = index * _ROW_HEIGHT, round(_MAX_BAR_LENGTH * length / longest)
        bars += f"M{_BARS_LEFT} {y + 4}h{bar_length}v14h-{bar_length}z"
        beside = f"<tspan x='{_BARS_LEFT + bar_length + 6}'>{escape(text, quote=False)}</tspan>"
        texts += f"<text y='{y + 15}'>{escape(_truncate_label(label), quote=False)}{beside}</text>"
    style = f"font-family='sans-serif' font-size='12' fill='{_GREY}'"
    drawn = f"<g {style}><path fill='{_BLUE}' d='{bars}'/>{texts}</g>"
    return _build_svg(_BARS_LEFT + _MAX_BAR_LENGTH + 100, max(len(rows), 1) * _ROW_HEIGHT, drawn)


def _truncate_label(label: str) -> str:
    return label if len(label) <= _MAX_LABEL_LENGTH else label[: _MAX_LABEL_LENGTH - 1] + "…"


def _build_svg(width: int, height: int, inside: str) -> str:
    # A control character in an ad's name would make the whole image invalid XML.
    legal = re.sub(r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "�", inside)
    return f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}'>{legal}</svg>"


def embed_in_markdown(svg: str, alternative: str) -> str:
    """Embed an SVG in a Markdown image; `alternative` is not escaped, so it must not hold names."""
    return f"![{alternative}](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})"


@cache
def build_time_series_chart(measure: str, title: str, *, many: bool) -> dict[str, Any]:
    """Build a Vega-Lite chart of one measure by day: a line, or stacked bars with a legend for several series.

    Args:
        measure: the column of an additive metric.
        title: the title of the measure in tooltips.
        many: whether there are several series.

    Returns:
        A specification whose dataset `rows` has `date`, `series`, `is_complete` and the measure; an incomplete day
        is a hollow point or a pale bar. A date must have a time without a zone, because a browser west of
        Greenwich would otherwise show the day before.
    """
    import altair as alt  # noqa: PLC0415 - slow to import, only needed for the page

    axis = alt.Axis(format="%-d %b", tickCount=6, grid=False, labelOverlap=True)
    tooltip = [
        alt.Tooltip("series:N", title="account"),
        alt.Tooltip("date:T", title="day", format="%Y-%m-%d"),
        alt.Tooltip(f"{measure}:Q", title=title, format=",.2~f"),
        alt.Tooltip("is_complete:N", title="complete"),
    ]
    base = alt.Chart(alt.NamedData(ROWS_DATASET)).encode(
        y=alt.Y(
            f"{measure}:Q",
            title=None,
            axis=alt.Axis(format="~s", tickCount=4, tickMinStep=1, domain=False, ticks=False),
        ),
        color=alt.Color("series:N", title=None, sort=None, legend=alt.Legend(orient="bottom") if many else None),
    )
    if many:
        bars = base.mark_bar().encode(
            x=alt.X("yearmonthdate(date):T", title=None, axis=axis),
            opacity=alt.condition(alt.datum.is_complete, alt.value(1), alt.value(0.45)),
            tooltip=tooltip,
        )
        return dict(bars.properties(width="container", height=190).to_dict())
    dated = base.encode(x=alt.X("date:T", title=None, axis=axis))
    line = dated.mark_line(strokeWidth=2)
    points = dated.mark_point(size=40, strokeWidth=1.5).encode(
        fillOpacity=alt.condition(alt.datum.is_complete, alt.value(1), alt.value(0)),
        fill=alt.Fill("series:N", sort=None, legend=None),
        tooltip=tooltip,
    )
    return dict(alt.layer(line, points).properties(width="container", height=190).to_dict())


def load_vega_javascript(folder: Path) -> str:
    """Load Vega, Vega-Lite and Vega-Embed as one script that sets `window.vegaEmbed`.

    The script comes from vl-convert (BSD-3-Clause). Bundling is slow, so it is cached in `folder`, once for each
    version.
    """
    cached = folder / f"vega-vl-convert-{version('vl-convert-python')}.js"
    if cached.exists():
        return cached.read_text(encoding="utf-8")
    bundle = _build_vega_bundle()
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{uuid4().hex}.unfinished"
    unfinished.write_text(bundle, encoding="utf-8")
    unfinished.replace(cached)
    return bundle


@cache
def _build_vega_bundle() -> str:
    import vl_convert  # noqa: PLC0415 - slow to import, only needed until the bundle is cached

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
