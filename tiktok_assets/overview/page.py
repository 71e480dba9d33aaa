"""The page itself: contents in, one HTML document out that asks nobody for anything."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tiktok_assets.charts import over_time, sparkline, vega_javascript
from tiktok_assets.escaping import visible
from tiktok_assets.overview import words
from tiktok_assets.overview.contents import AccountPage, CurrencyPage, Overview, Row
from tiktok_assets.overview.stored import DAYS_SHOWN
from tiktok_assets.spec.links import ads_manager

_TEMPLATES = "templates"
LINKED_AT_MOST = 12
"""Accounts with a link of their own at the top of the page; of more only the currencies have, and a table all."""

_MEASURES = {"spend": "Spend", "conversion": "Conversions"}


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart's place on the page: which drawing, under which heading, and what a screen reader says."""

    id: str
    kind: str
    title: str
    description: str


def render(page: Overview, scripts: Path) -> str:
    """The document.

    Args:
        page: what it says.
        scripts: local folder in which Vega's JavaScript is kept between builds.
    """
    charts, rows = _charts(page)
    kinds = {chart.kind for places in charts.values() for chart in places}
    drawings = {
        "kinds": {kind: _drawing(kind) for kind in sorted(kinds)},
        "charts": {
            chart.id: {"kind": chart.kind, "rows": rows[chart.id]}
            for places in charts.values()
            for chart in places
        },
    }
    own = _text("page.js")
    # A page without charts needs no script, and none is allowed to run.
    vega = vega_javascript(scripts) if kinds else ""
    document = (
        _environment()
        .get_template("page.html.jinja")
        .render(
            page=page,
            charts=charts,
            drawings=drawings if kinds else None,
            days_shown=DAYS_SHOWN,
            linked_at_most=LINKED_AT_MOST,
            style=Markup(_text("page.css")),  # noqa: S704 - ours
            script=Markup(own),  # noqa: S704 - ours
            vega=Markup(vega),  # noqa: S704 - Vega's own bundle
            policy=_policy([vega, own] if kinds else []),
        )
    )
    return document.strip() + "\n"


def _text(name: str) -> str:
    return files(__package__).joinpath(_TEMPLATES, name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str]) -> str:
    """Only these scripts run, and nothing is loaded from anywhere; Vega compiles its expressions at run time."""
    hashes = [f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts]
    allowed = " ".join([*hashes, "'unsafe-eval'"]) if hashes else "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__, _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {
        "money": words.money,
        "number": words.number_of,
        "signed": lambda amount, currency: (
            ("+" if amount and amount > 0 else "") + words.number_of(amount, currency)
        ),
        "count": words.count,
        "percent": words.percent,
        "change": words.change,
        "status": words.status,
        "day": words.day,
        "instant": words.instant,
        "anchor": _anchor,
        "spark": _spark,
        "ads_manager": ads_manager,
    }
    return environment


def _shown(value: object) -> object:
    """Show control characters of a name as their escape; the template escapes the rest."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _anchor(account: AccountPage) -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", f"account-{account.advertiser_id}-{account.currency}")


def _spark(account: AccountPage) -> Markup:
    values = [None if row["spend"] is None else float(row["spend"]) for row in account.daily]
    picture = Markup(sparkline(values, width=144, height=32)) if values else words.NOTHING  # noqa: S704 - digits only
    return Markup('<span class="spark" aria-hidden="true">{}</span>').format(picture)


def _drawing(kind: str) -> dict[str, Any]:
    measure, _, number = kind.partition("-")
    return over_time(measure, _MEASURES[measure], many=number == "many")


def _charts(page: Overview) -> tuple[Mapping[Any, list[Chart]], Mapping[str, list[Row]]]:
    """The charts of each currency and account, and the rows of each chart."""
    charts: dict[Any, list[Chart]] = {}
    rows: dict[str, list[Row]] = {}
    for currency in page.currencies:
        places: list[tuple[Any, CurrencyPage | AccountPage]] = [
            ((one.advertiser_id, one.currency), one) for one in currency.accounts
        ]
        if len(currency.accounts) > 1:
            places.append((currency.currency, currency))
        for key, place in places:
            charts[key] = []
            for measure, title in _MEASURES.items():
                lines = [
                    _point(row, measure)
                    for row in (place.lines if isinstance(place, CurrencyPage) else _series(place))
                    if row[measure] is not None
                ]
                if not lines:
                    continue
                shown = f"{title} a day" + (f", {currency.currency}" if measure == "spend" else "")
                number = "many" if isinstance(place, CurrencyPage) else "one"
                kind = f"{measure}-{number}"
                chart = Chart(f"c{len(rows)}", kind, shown, _described(shown, lines, measure, number))
                charts[key].append(chart)
                rows[chart.id] = lines
    return charts, rows


def _series(account: AccountPage) -> list[Row]:
    return [{"series": account.name, **row} for row in account.daily]


def _point(row: Row, measure: str) -> Row:
    """A row for the browser: a picture has no cents, so its amounts may be floats."""
    value = row[measure]
    return {
        "date": f"{row['date']}T00:00:00",
        "series": visible(row["series"]),
        "is_complete": bool(row["is_complete"]),
        measure: float(value) if isinstance(value, Decimal) else value,
    }


def _described(shown: str, lines: Sequence[Row], measure: str, number: str) -> str:
    totals: dict[str, float] = {}
    for line in lines:
        totals[line["date"][:10]] = totals.get(line["date"][:10], 0) + line[measure]
    least, most = (f"{value:,.2f}".removesuffix(".00") for value in (min(totals.values()), max(totals.values())))
    what = "a line" if number == "one" else "bars stacked by account"
    return f"{shown}: {what} from {min(totals)} to {max(totals)}, between {least} and {most}."
