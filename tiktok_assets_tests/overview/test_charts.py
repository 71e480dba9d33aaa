"""Test that charts are valid SVG, small, in proportion, and drawn by the embedded Vega."""

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
def test_sparkline_is_valid_svg_for_any_values(values: list[float | None]) -> None:
    """Without values, with gaps or all zero, the SVG is well formed and the line stays inside."""
    root = ET.fromstring(draw_sparkline(values))  # noqa: S314 - our own SVG
    path = root.findall(f"{SVG}path")[-1].get("d", "")
    heights = [float(point.split()[1]) for point in path.replace("L", "M").split("M") if point]
    assert len(heights) == sum(value is not None for value in values)
    assert all(0 <= height <= 48 for height in heights)


@given(rows=st.lists(st.tuples(st.text(), AMOUNTS, st.text()), max_size=8))
def test_ranked_bars_are_valid_svg_for_any_labels(rows: list[tuple[str, float, str]]) -> None:
    """For any label the SVG is well formed and holds one text per row and no element from a label."""
    root = ET.fromstring(draw_ranked_bars(rows))  # noqa: S314 - our own SVG
    assert len(root.findall(f".//{SVG}text")) == len(rows)
    assert {element.tag for element in root.iter()} <= {
        SVG + name for name in ("svg", "g", "path", "text", "tspan")
    }


def test_bar_lengths_are_proportional() -> None:
    """A bar of half the amount is half as long."""
    root = ET.fromstring(draw_ranked_bars([("a", 10, "10"), ("b", 5, "5"), ("c", 0, "0")]))  # noqa: S314 - our own SVG
    bars = root.find(f".//{SVG}path")
    assert bars is not None
    assert [int(bar.split("h")[1].split("v")[0]) for bar in bars.get("d", "").split("M")[1:]] == [240, 120, 0]


def test_sparkline_of_a_month_is_under_a_kilobyte() -> None:
    """The line of a month stays below the length of Markdown that Dagster shows inline."""
    assert len(embed_in_markdown(draw_sparkline([index * 1234.56 for index in range(30)]), "Spend per day")) < 1000


def test_markdown_image_holds_the_svg() -> None:
    """The data URL decodes to the same SVG."""
    svg = draw_sparkline([1, 2])
    assert base64.b64decode(embed_in_markdown(svg, "x").split("base64,")[1][:-1]).decode() == svg


@pytest.mark.parametrize("many", [True, False])
@pytest.mark.parametrize("measure", ["spend", "conversion"])
def test_vega_draws_every_row(measure: str, *, many: bool) -> None:
    """Vega draws a mark for every row of the data, with and without a legend."""
    rows = [
        {"date": f"2026-11-0{day}T00:00:00", "series": series, "is_complete": day < 3, measure: day}
        for day in range(1, 4)
        for series in ("one", "two")
    ]
    specification = json.loads(json.dumps(build_time_series_chart(measure, "Amount", many=many))) | {"width": 300}
    svg = str(vl_convert.vegalite_to_svg(specification | {"datasets": {ROWS_DATASET: rows}}))
    root = ET.fromstring(svg)  # noqa: S314 - Vega's
    marks = [
        element for element in root.iter() if element.get("aria-roledescription") == ("bar" if many else "point")
    ]
    assert len(marks) == len(rows)
    assert ("legend" in svg) == many


def test_vega_bundle_is_cached(tmp_path: Path) -> None:
    """The script is cached in the folder, sets `window.vegaEmbed`, and does not contain `</script`."""
    bundle = load_vega_javascript(tmp_path)
    assert "window.vegaEmbed" in bundle
    assert "</script" not in bundle
    (cached,) = tmp_path.iterdir()
    cached.write_text("cached")
    assert load_vega_javascript(tmp_path) == "cached"
