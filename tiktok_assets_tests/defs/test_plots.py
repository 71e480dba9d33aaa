"""Test materialization metadata: names are escaped, plots are shown inline, currencies are separate."""

from base64 import b64decode
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import dagster as dg
import polars as pl
import pytest
from hypothesis import example, given, settings
from linkify_it import LinkifyIt
from markdown_it import MarkdownIt

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.defs.checks import build_all_checked_tables, build_check_result, summarize_outcome
from tiktok_assets.defs.plots import (
    MAX_INLINE_MARKDOWN,
    build_preview,
    build_ranking_metadata,
    render_markdown_table,
)
from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.ingest.writer import PREVIEW_ROWS
from tiktok_assets.overview.formatting import NO_VALUE
from tiktok_assets.quality.check_catalog import select_checks
from tiktok_assets.quality.outcome import CheckOutcome
from tiktok_assets.settings import load_settings
from tiktok_assets.top_spenders.ranking import TOP_SPENDERS_SCHEMA
from tiktok_assets_tests.defs.conftest import Deployment
from tiktok_assets_tests.hostile_names import ALL_FRAGMENTS, HOSTILE_NAMES, control_characters_in, visible_text

MARKDOWN = MarkdownIt("gfm-like", {"linkify": True})


def get_cells(markdown: str) -> list[str]:
    """Return the text of each cell of the rendered table; other node types are returned by their type."""
    cells = []
    for before, token in pairwise(MARKDOWN.parse(markdown)):
        if before.type == "td_open":
            cells.append(
                "".join(c.content if c.type in {"text", "text_special"} else c.type for c in token.children or [])
            )
    return cells


@settings(max_examples=200)
@example(ALL_FRAGMENTS)
@given(name=HOSTILE_NAMES)
def test_name_in_a_markdown_table_is_text(name: str) -> None:
    """Pipes, images, links, headings, HTML and URLs in a name are shown as text."""
    assert [visible_text(cell) for cell in get_cells(render_markdown_table(["name"], [[name]]))] == [
        visible_text(escape_control_characters(name))
    ]


@settings(max_examples=25)
@example(ALL_FRAGMENTS)
@given(name=HOSTILE_NAMES)
def test_name_in_metadata_is_text(name: str) -> None:
    """In the preview of a table and in the plot of a ranking a name is text."""
    frame = pl.DataFrame([{"ad_name": name}], {"ad_name": pl.String()})
    (table,) = build_preview(frame).values()
    metadata = build_ranking_metadata("1", pl.DataFrame([build_leader("1", 1, "USD", name)], TOP_SPENDERS_SCHEMA))
    for shown in (table, metadata["table_USD"]):
        cells = [visible_text(cell).removesuffix("…") for cell in get_cells(shown.value)]
        blank = not visible_text(escape_control_characters(name)).strip()
        assert blank or any(
            visible_text(escape_control_characters(name)).startswith(cell) for cell in cells if cell
        ), cells
        assert control_characters_in(shown.value, allowed="\n") == set()
    plot = b64decode(str(metadata["leaders_USD"].value).partition("base64,")[2].rstrip(")")).decode()
    assert control_characters_in(plot) == set()
    assert ET.fromstring(plot).tag.endswith("svg")  # noqa: S314 - our own


def test_check_result_is_text() -> None:
    """Description, rows and notes of a check show an ad's name without link, mention or control character."""
    outcome = CheckOutcome(1, ({"ad_name": ALL_FRAGMENTS},), notes=(ALL_FRAGMENTS,))
    description = summarize_outcome(outcome) or ""
    assert visible_text(description) == visible_text(
        f"1 found; the first: ad_name {escape_control_characters(ALL_FRAGMENTS)}"
    )
    assert LinkifyIt().match(description) is None
    result = build_check_result(
        dg.AssetKey("ads"), next(iter(select_checks(build_all_checked_tables(load_settings())["ads"]))), outcome
    )
    table, notes = result.metadata["first_faults"], result.metadata["notes"]
    assert isinstance(table, dg.TableMetadataValue)
    assert isinstance(notes, dg.MarkdownMetadataValue)
    assert table.records[0].data["ad_name"] == escape_control_characters(ALL_FRAGMENTS)
    kinds = {child.type for token in MARKDOWN.parse(notes.value) for child in token.children or []}
    assert kinds == {"text"}


def test_image_in_a_name_is_not_rendered() -> None:
    """A name that is a Markdown image creates no image."""
    hostile = "![x](http://192.0.2.1/x.png) <img src=x> www.example.com"
    assert [visible_text(cell) for cell in get_cells(render_markdown_table(["a"], [[hostile]]))] == [hostile]


def build_leader(advertiser_id: str, number: int, currency: str, name: str) -> dict[str, Any]:
    """Build a row of `top_spenders`."""
    return {
        "advertiser_id": advertiser_id,
        "campaign_id": str(number),
        "campaign_name": name,
        "currency": currency,
        "ad_id": f"ad {number}",
        "ad_name": name,
        "spend": Decimal(1_000_000 - number),
        "share": 0.5,
        "lead": None,
        "fetched_at": datetime(2026, 11, 22, tzinfo=UTC),
    }


def test_ranking_is_shown_inline_and_by_currency() -> None:
    """With many campaigns and long names Dagster shows plot and table inline, one of each per currency."""
    rows = [build_leader("1", number, "USD", "A rather long name & <more>" * 9) for number in range(40)]
    rows += [build_leader("1", number, "JPY", "Short") for number in range(40, 42)]
    metadata = build_ranking_metadata("1", pl.DataFrame(rows, TOP_SPENDERS_SCHEMA))
    assert metadata["campaigns"] == 42
    for currency in ("USD", "JPY"):
        table, plot = (metadata[f"{what}_{currency}"] for what in ("table", "leaders"))
        assert isinstance(plot, dg.MarkdownMetadataValue)
        assert plot.value.startswith("![Lifetime spend of the top spender of each campaign, ")
        assert max(len(plot.value), len(table.value)) <= MAX_INLINE_MARKDOWN
        assert len(get_cells(table.value)) >= 5 * 2
    assert metadata["ads_manager"].value.endswith("aadvid=1")


def test_account_without_campaigns_has_no_plot() -> None:
    """Without campaigns the metadata has a link and no plot."""
    metadata = build_ranking_metadata("1", pl.DataFrame([], TOP_SPENDERS_SCHEMA))
    assert set(metadata) == {"campaigns", "ads_manager"}


@pytest.mark.slow
def test_each_partition_has_its_own_metadata(deployment: Deployment) -> None:
    """After a refresh each account's ranking has its own metadata, and each window one plot of its spend."""
    ids = deployment.add_partitions()
    first, last = (deployment.now.date().replace(day=day) for day in (2, 5))
    assert deployment.run_range("refresh_accounts", ids).success
    assert deployment.run_range("refresh_daily", ids, DateWindow(first, last)).success
    assert deployment.run_range("refresh_lifetime", ids).success
    assert deployment.run_range("refresh_derived", ids).success
    days = dict(deployment.materializations("campaign_report_daily"))
    drawn = {key for key, metadata in days.items() if "spend_by_day" in metadata}
    assert drawn == {f"{owner}|{last}" for owner in ids}
    assert all(
        str(metadata["ads_manager"]).endswith(f"aadvid={key.split('|')[0]}") for key, metadata in days.items()
    )
    rankings = dict(deployment.materializations("top_spenders"))
    leaders = deployment.read_table("top_spenders")
    assert {key: metadata["campaigns"] for key, metadata in rankings.items()} == {
        owner: leaders.filter(pl.col("advertiser_id") == owner).height for owner in ids
    }
    ((_, page),) = deployment.materializations("account_overview")
    assert page["accounts"] == len(ids)
    assert len(get_cells(str(page["preview"]))) == 5 * len(ids)


@pytest.mark.slow
def test_preview_is_recorded_once_per_request(deployment: Deployment) -> None:
    """Each account's snapshot and lifetime report has a preview; of a window of days only the last has one."""
    ids = deployment.add_partitions()
    first, last = (deployment.now.date().replace(day=day) for day in (2, 5))
    assert deployment.run_range("refresh_accounts", ids).success
    assert deployment.run_range("refresh_daily", ids, DateWindow(first, last)).success
    assert deployment.run_range("refresh_lifetime", ids).success
    delivering = set(deployment.read_table("ads").get_column("advertiser_id"))
    for table in ("campaigns", "ad_groups", "ads", "campaign_report_lifetime", "ad_report_lifetime"):
        shown = {
            key: str(metadata["preview"])
            for key, metadata in deployment.materializations(table)
            if "preview" in metadata
        }
        assert shown.keys() == delivering
        assert all(len(one) <= MAX_INLINE_MARKDOWN and get_cells(one) for one in shown.values())
    days = {key for key, metadata in deployment.materializations("ad_report_daily") if "preview" in metadata}
    assert days == {f"{owner}|{last}" for owner in delivering}
    ((_, accounts),) = deployment.materializations("advertisers")
    names = deployment.read_table("advertisers").get_column("name").to_list()
    assert [cell for cell in get_cells(str(accounts["preview"])) if cell in names] == names[:PREVIEW_ROWS]


def test_preview_formats_amounts_and_statuses() -> None:
    """JPY has no minor unit, a missing value is a dash, and only as many rows are shown as fit."""
    row = {
        "ad_name": "One | two",
        "status": "AD_STATUS_DELIVERY_OK",
        "currency": "JPY",
        "spend": Decimal("1234.5"),
    }
    kinds = dict.fromkeys(("ad_name", "status", "currency"), pl.String())
    schema = {**kinds, "spend": pl.Decimal(18, 4), "clicks": pl.Int64()}
    frame = pl.DataFrame([row] * 400, schema)
    (shown,) = build_preview(frame).values()
    assert get_cells(shown.value)[:5] == ["One | two", "delivering", "1,235", NO_VALUE, "One | two"]
    assert "spend, JPY" in shown.value
    assert len(shown.value) <= MAX_INLINE_MARKDOWN
    assert build_preview(frame.clear()) == {}
