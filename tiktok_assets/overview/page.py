"""Render the overview page as one self-contained HTML file and write it beside the tables."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from polars.exceptions import PolarsError
from upath import UPath

from tiktok_assets.duplication import format_kind
from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.overview import formatting
from tiktok_assets.overview.changes import MAX_CHANGES, Change
from tiktok_assets.overview.charts import build_time_series_chart, draw_sparkline, load_vega_javascript
from tiktok_assets.overview.loader import DAYS_SHOWN, load_tables
from tiktok_assets.overview.models import AccountSection, CurrencySection, Overview, Row
from tiktok_assets.overview.summary import summarize
from tiktok_assets.overview.wall import Creative, embed_thumbnails
from tiktok_assets.spec import ads_manager_campaigns_url
from tiktok_assets.storage import (
    THUMBNAIL_FOLDER,
    HiveStore,
    StoreError,
    ThumbnailStore,
    describe_build_failure,
    write_atomically,
)

PAGE_FILE_NAME = "account_overview.html"

_TEMPLATES = "templates"
MAX_LINKED_ACCOUNTS = 12
"""If there are more accounts, the navigation links currencies instead of accounts."""

_CHART_TITLES = {"spend": "Spend", "conversion": "Conversions"}


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart on the page: the kind of specification, the heading, and the description for screen readers."""

    id: str
    kind: str
    title: str
    description: str


def render_page(page: Overview, scripts: Path, thumbnail_folder: str = "") -> str:
    """Render the HTML document.

    Args:
        page: the contents.
        scripts: a local folder in which Vega's JavaScript is cached between builds.
        thumbnail_folder: the relative URL of the thumbnails that are not embedded; empty if they are not linked.
    """
    charts, rows = _build_charts(page)
    kinds = {chart.kind for section_charts in charts.values() for chart in section_charts}
    drawings = {
        "kinds": {kind: _build_chart_spec(kind) for kind in sorted(kinds)},
        "charts": {
            chart.id: {"kind": chart.kind, **_compress_rows(rows[chart.id], chart.kind.partition("-")[0])}
            for section_charts in charts.values()
            for chart in section_charts
        },
    }
    # A page without charts or tables needs no script, so its policy allows none.
    scripts_of_charts = [load_vega_javascript(scripts), _read_template("page.js")] if kinds else []
    scripts_of_tables = [_read_template("tables.js")] if page.accounts else []
    scripts_of_wall = [_read_template("wall.js")] if page.has_wall else []
    running = [*scripts_of_charts, *scripts_of_tables, *scripts_of_wall]
    document = (
        _build_environment()
        .get_template("page.html.jinja")
        .render(
            page=page,
            charts=charts,
            drawings=drawings if kinds else None,
            days_shown=DAYS_SHOWN,
            max_linked_accounts=MAX_LINKED_ACCOUNTS,
            max_changes=MAX_CHANGES,
            thumbnail_folder=thumbnail_folder,
            style=Markup(_read_template("page.css")),  # noqa: S704 - our own file
            scripts=[Markup(one) for one in running],  # noqa: S704 - our own files and Vega's own bundle
            policy=_build_content_security_policy(running, has_charts=bool(kinds)),
        )
    )
    return document.strip() + "\n"


def _compress_rows(rows: Sequence[Row], measure: str) -> dict[str, Any]:
    """Write each row as its day, series and value, so that the page of a hundred accounts stays small."""
    days = sorted({row["date"] for row in rows})
    names = list(dict.fromkeys(row["series"] for row in rows))
    positions = {day: number for number, day in enumerate(days)}
    return {
        "days": days,
        "series": names,
        "rows": [
            [positions[row["date"]], names.index(row["series"]), row[measure], int(row["is_complete"])]
            for row in rows
        ],
    }


def _read_template(name: str) -> str:
    return files(__package__).joinpath(_TEMPLATES, name).read_text(encoding="utf-8")


def _build_content_security_policy(scripts: Sequence[str], *, has_charts: bool) -> str:
    """Allow only these scripts and no external resource; `unsafe-eval` is for Vega, which compiles expressions."""
    hashes = [f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts]
    allowed = " ".join([*hashes, *(["'unsafe-eval'"] if has_charts else [])]) or "'none'"
    sources = f"default-src 'none'; script-src {allowed}; img-src data:; style-src 'unsafe-inline'"
    return f"{sources}; base-uri 'none'; form-action 'none'"


def _build_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__, _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_escape_control_characters,
    )
    environment.filters |= {
        "money": formatting.format_money,
        "number": formatting.format_amount_without_currency,
        "signed": lambda amount, currency: (
            ("+" if amount and amount > 0 else "") + formatting.format_amount_without_currency(amount, currency)
        ),
        "count": formatting.format_count,
        "percent": formatting.format_percent,
        "kind": format_kind,
        "exact": formatting.format_exact,
        "ratio": formatting.format_ratio,
        "change": formatting.format_change,
        "status": formatting.format_status,
        "day": formatting.format_day,
        "instant": formatting.format_instant,
        "anchor": _build_anchor,
        "trend": _draw_hook_trend,
        "spark": _draw_account_sparkline,
        "ads_manager": ads_manager_campaigns_url,
    }
    return environment


def _escape_control_characters(value: object) -> object:
    """Escape the control characters of a string; the template escapes HTML."""
    return escape_control_characters(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _build_anchor(account: AccountSection | Change | Creative) -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", f"account-{account.advertiser_id}-{account.currency}")


def _draw_account_sparkline(account: AccountSection) -> Markup:
    values = [None if row["spend"] is None else float(row["spend"]) for row in account.daily]
    image = Markup(draw_sparkline(values, width=144, height=32)) if values else formatting.NO_VALUE  # noqa: S704 - digits only
    return Markup('<span class="spark" aria-hidden="true">{}</span>').format(image)


def _draw_hook_trend(creative: Creative) -> Markup:
    values = [totals.hook_rate for _, totals in creative.days]
    if not any(values):
        return Markup("")
    image = Markup(draw_sparkline(values, width=220, height=36))  # noqa: S704 - digits only
    return Markup('<span class="spark" aria-hidden="true">{}</span>').format(image)


def _build_chart_spec(kind: str) -> dict[str, Any]:
    measure, _, number = kind.partition("-")
    return build_time_series_chart(measure, _CHART_TITLES[measure], many=number == "many")


def _build_charts(page: Overview) -> tuple[Mapping[Any, list[Chart]], Mapping[str, list[Row]]]:
    """Build the charts of each currency and account, and the rows of each chart."""
    charts: dict[Any, list[Chart]] = {}
    rows: dict[str, list[Row]] = {}
    for currency in page.currencies:
        sections: list[tuple[Any, CurrencySection | AccountSection]] = [
            ((one.advertiser_id, one.currency), one) for one in currency.accounts
        ]
        if len(currency.accounts) > 1:
            sections.append((currency.currency, currency))
        for key, section in sections:
            charts[key] = []
            for measure, title in _CHART_TITLES.items():
                chart_rows = [
                    _build_chart_point(row, measure)
                    for row in (
                        section.chart_rows if isinstance(section, CurrencySection) else _build_series_rows(section)
                    )
                    if row[measure] is not None
                ]
                if not chart_rows:
                    continue
                heading = f"{title} per day" + (f", {currency.currency}" if measure == "spend" else "")
                number = "many" if isinstance(section, CurrencySection) else "one"
                kind = f"{measure}-{number}"
                chart = Chart(
                    f"c{len(rows)}", kind, heading, _describe_chart(heading, chart_rows, measure, number)
                )
                charts[key].append(chart)
                rows[chart.id] = chart_rows
    return charts, rows


def _build_series_rows(account: AccountSection) -> list[Row]:
    return [{"series": account.name, **row} for row in account.daily]


def _build_chart_point(row: Row, measure: str) -> Row:
    """Build a row for the browser; amounts become floats, which is exact enough for a chart."""
    value = row[measure]
    return {
        "date": str(row["date"]),
        "series": escape_control_characters(row["series"]),
        "is_complete": bool(row["is_complete"]),
        measure: float(value) if isinstance(value, Decimal) else value,
    }


def _describe_chart(heading: str, rows: Sequence[Row], measure: str, number: str) -> str:
    totals: dict[str, float] = {}
    for row in rows:
        totals[row["date"]] = totals.get(row["date"], 0) + row[measure]
    lowest, highest = (
        f"{value:,.2f}".removesuffix(".00") for value in (min(totals.values()), max(totals.values()))
    )
    shape = "a line" if number == "one" else "bars stacked by account"
    return f"{heading}: {shape} from {min(totals)} to {max(totals)}, between {lowest} and {highest}."


@dataclass(frozen=True, slots=True)
class BuiltPage:
    """The written page: its path, its size in bytes, and its contents."""

    path: str
    bytes: int
    contents: Overview


def build_overview(
    store: HiveStore,
    state_dir: Path,
    now: datetime,
    *,
    advertiser_id: str | None = None,
    target: UPath | None = None,
) -> BuiltPage:
    """Build the page from the stored tables and replace the old one atomically.

    Args:
        store: holds the tables.
        state_dir: a local folder in which Vega's JavaScript is cached between builds.
        now: timezone-aware; shown on the page as the build time.
        advertiser_id: the only account on the page; None for all.
        target: where the page is written; None for beside the tables.

    Raises:
        StoreError: if a table cannot be read, the page cannot be written, or the account has no data.
    """
    # Only the page beside the tables can link to the folder of the thumbnails.
    thumbnail_folder = "" if target else THUMBNAIL_FOLDER
    target = target or store.base / PAGE_FILE_NAME
    try:
        contents = summarize(load_tables(store, advertiser_id), now)
        walls = embed_thumbnails([one.wall for one in contents.currencies], ThumbnailStore(store.base).read)
        currencies = [replace(one, wall=wall) for one, wall in zip(contents.currencies, walls, strict=True)]
        contents = replace(contents, currencies=currencies)
        if advertiser_id is not None:
            if not contents.accounts:
                raise StoreError(
                    f"nothing is stored of the account {advertiser_id}; check its id, or sync it first."
                )
            contents = replace(contents, only_account=contents.accounts[0].name)
        document = render_page(contents, state_dir, thumbnail_folder).encode()
        write_atomically(document, target)
    except (OSError, PolarsError) as error:
        raise StoreError(describe_build_failure(target, error)) from error
    return BuiltPage(str(target), len(document), contents)
