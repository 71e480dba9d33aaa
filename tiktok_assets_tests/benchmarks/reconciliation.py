"""Compute the figures of docs/reconciliation.md: sums of every level of the demo world, read over HTTP.

`python -m tiktok_assets_tests.benchmarks.reconciliation` writes them between the marks of the page.
"""

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from tiktok_assets.defs.checks import build_check_context
from tiktok_assets.ingest.accounts import load_accounts
from tiktok_assets.ingest.writer import refresh_advertisers, refresh_entity, refresh_report
from tiktok_assets.quality.check_catalog import CHECKS, evaluate_checks
from tiktok_assets.quality.outcome import Row
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.session import Session
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.entities import CAMPAIGN_ENTITIES
from tiktok_assets.spec.reports import LEVELS

PAGE = Path(__file__).parents[2] / "docs" / "reconciliation.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
DAYS = 30
SHOWN = ("spend", "impressions", "clicks", "conversion")

_AGREE = {check.name: check for check in CHECKS if check.name == "levels_agree"}


def figures() -> Iterator[tuple[str, Row]]:
    """Yield the difference of every pair of levels, account and metric in the demo world, with its table.

    Raises:
        RuntimeError: if a partition of the world could not be read.
    """
    plan = WorldPlan()
    with tempfile.TemporaryDirectory() as folder, _sandbox(plan) as sandbox:
        settings = load_settings(
            base_url=sandbox.base_url,
            access_token=sandbox.token,
            app_id=sandbox.app_id,
            app_secret=sandbox.secret,
            start_date=str(plan.anchor.date() - timedelta(DAYS)),
            qps=1000,
            data_dir=f"{folder}/data",
            state_dir=Path(folder, "state"),
        )
        with closing(Session(settings)) as session:
            _fill(session)
            archive = build_check_context(settings, session, days=0)
            for table, subject in archive.tables.items():
                if subject.upper_table:
                    for row in evaluate_checks(archive, table, _AGREE).outcomes["levels_agree"].figures:
                        yield table, row


def _sandbox(plan: WorldPlan) -> RunningSandbox:
    return RunningSandbox(plan, now=plan.anchor, limits=Limits(qps=None, qpm=None))


def _fill(session: Session) -> None:
    reader, store, settings = session.reader, session.store, session.settings
    refresh_advertisers(reader, store, session.advertiser_ids)
    for entity in CAMPAIGN_ENTITIES:
        _landed(refresh_entity(reader, store, entity, session.advertiser_ids))
    accounts, _ = load_accounts(reader, store, settings, session.advertiser_ids)
    for report in settings.chosen_reports:
        days = {
            one: [
                settings.start_date + timedelta(n)
                for n in range((one.today(session.now()) - settings.start_date).days)
            ]
            for one in accounts
        }
        _landed(refresh_report(reader, store, report, days))


def _landed(outcomes: Iterator[object]) -> None:
    if failed := [str(outcome) for outcome in outcomes if not hasattr(outcome, "rows")]:
        raise RuntimeError(failed[0])


def page_part(rows: Sequence[tuple[str, Row]]) -> str:
    """Render the figures for the page: the sums of each level and the largest difference between neighbours."""
    totals: dict[tuple[str, str, str], dict[str, str]] = {}
    gaps: dict[tuple[str, str, str], list[Decimal]] = {}
    for table, row in rows:
        if row["metric"] in SHOWN and Decimal(row["upper"]):
            key = (table.rpartition("_")[2], row["currency"], row["metric"])
            lower, upper = row["levels"].split(" of ")
            totals.setdefault(key, {}).update({upper: row["upper"], lower: row["lower"]})
            gaps.setdefault(key, []).append(Decimal(row["percent"]))
    names = [level.name for level in LEVELS]
    lines = [
        f"| report | account in | metric | {' | '.join(names)} | largest gap % |",
        "|---|---|---|" + "---:|" * 5,
    ]
    lines += [
        f"| {' | '.join(key)} | {' | '.join(levels[name] for name in names)} | {max(gaps[key], key=abs)} |"
        for key, levels in totals.items()
    ]
    return "\n".join([BEGIN, "", *lines, "", END])


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    part = page_part(list(figures()))
    PAGE.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: part, text, flags=re.DOTALL), encoding="utf-8")
