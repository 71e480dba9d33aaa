"""Laws of the pictures: always valid, small, true to their numbers, and drawn by what the page embeds."""

import base64
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import vl_convert
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.overview.charts import (
    ROWS_DATASET,
    build_time_series_chart,
    draw_ranked_bars,
    draw_sparkline,
    embed_in_markdown,
    load_vega_javascript,
)

SVG = "{http://www.w3.org/2000/svg}"
AMOUNTS = st.floats(0, 1e12, allow_nan=False)


@given(values=st.lists(st.none() | AMOUNTS, max_size=60))
def test_a_line_of_any_values_is_a_picture(values: list[float | None]) -> None:
    """Without values, with gaps, all zero: the SVG is well formed, and its line stays inside."""
    root = ET.fromstring(draw_sparkline(values))  # noqa: S314 - ours
    path = root.findall(f"{SVG}path")[-1].get("d", "")
    heights = [float(point.split()[1]) for point in path.replace("L", "M").split("M") if point]
    assert len(heights) == sum(value is not None for value in values)
    assert all(0 <= height <= 48 for height in heights)


@given(rows=st.lists(st.tuples(st.text(), AMOUNTS, st.text()), max_size=8))
def test_bars_of_any_labels_are_a_picture(rows: list[tuple[str, float, str]]) -> None:
    """Whatever an ad is called, the SVG is well formed, has a text a row and nothing else a label could bring."""
    root = ET.fromstring(draw_ranked_bars(rows))  # noqa: S314 - ours
    assert len(root.findall(f".//{SVG}text")) == len(rows)
    assert {element.tag for element in root.iter()} <= {
        SVG + name for name in ("svg", "g", "path", "text", "tspan")
    }


def test_lengths_are_in_proportion() -> None:
    """A bar of half the amount is half as long."""
    root = ET.fromstring(draw_ranked_bars([("a", 10, "10"), ("b", 5, "5"), ("c", 0, "0")]))  # noqa: S314 - ours
    bars = root.find(f".//{SVG}path")
    assert bars is not None
    assert [int(bar.split("h")[1].split("v")[0]) for bar in bars.get("d", "").split("M")[1:]] == [240, 120, 0]


def test_a_month_of_days_is_under_a_kilobyte() -> None:
    """Every event that has the line stays small, and below what Dagster shows at once."""
    assert len(embed_in_markdown(draw_sparkline([index * 1234.56 for index in range(30)]), "Spend a day")) < 1000


def test_a_picture_in_markdown_is_the_picture() -> None:
    """The data address decodes to the same SVG."""
    svg = draw_sparkline([1, 2])
    assert base64.b64decode(embed_in_markdown(svg, "x").split("base64,")[1][:-1]).decode() == svg


@pytest.mark.parametrize("many", [True, False])
@pytest.mark.parametrize("measure", ["spend", "conversion"])
def test_the_page_can_draw_its_charts(measure: str, *, many: bool) -> None:
    """Vega itself draws a mark for every row of the data, with and without a legend."""
    rows = [
        {"date": f"2026-11-0{day}T00:00:00", "series": series, "is_complete": day < 3, measure: day}
        for day in range(1, 4)
        for series in ("one", "two")
    ]
    drawing = json.loads(json.dumps(build_time_series_chart(measure, "Amount", many=many))) | {"width": 300}
    svg = str(vl_convert.vegalite_to_svg(drawing | {"datasets": {ROWS_DATASET: rows}}))
    root = ET.fromstring(svg)  # noqa: S314 - Vega's
    marks = [one for one in root.iter() if one.get("aria-roledescription") == ("bar" if many else "point")]
    assert len(marks) == len(rows)
    assert ("legend" in svg) == many


def test_vega_is_bundled_once(tmp_path: Path) -> None:
    """The script is kept in the folder, sets what the page calls, and cannot end its own element."""
    bundle = load_vega_javascript(tmp_path)
    assert "window.vegaEmbed" in bundle
    assert "</script" not in bundle
    (kept,) = tmp_path.iterdir()
    kept.write_text("kept")
    assert load_vega_javascript(tmp_path) == "kept"
