"""Measure one thing in this process, whose peak memory is then that of nothing else, and print it as JSON."""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

import dagster as dg

from tiktok_assets.cli.missing_columns import plan_missing_columns
from tiktok_assets.cli.top import read_stored_top_spenders
from tiktok_assets.definitions import build_definitions
from tiktok_assets.defs.refresh_stages import plan_stage_ranges
from tiktok_assets.defs.scaling_sensors import get_latest_ranking_cursor
from tiktok_assets.instance import open_instance
from tiktok_assets.overview.page import build_overview
from tiktok_assets.session import open_session
from tiktok_assets.settings import Settings, load_settings

TICKS = ("new_top_spender", "refresh_sequence", "run_failure_alert", "deliver_alerts")
REPEATED_TICKS = 3

_seconds: dict[str, list[float]] = {}


@contextmanager
def _measured(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    _seconds.setdefault(what, []).append(time.monotonic() - began)


def _planning(settings: Settings) -> None:
    with open_instance(settings) as instance, open_session(settings) as session, _measured("planning"):
        now = datetime.now(UTC)
        ranges = plan_stage_ranges("refresh_daily", instance, session.store, settings, now)
        assert {one for part in ranges for one in part.advertiser_ids} == set(settings.advertiser_ids)
        assert all((part.window and len(part.window.days) < 10) or now.weekday() == 0 for part in ranges)


def _ticks(settings: Settings) -> None:
    repository = build_definitions(settings).get_repository_def()
    with open_instance(settings) as instance:
        for name in TICKS:
            cursor = get_latest_ranking_cursor(instance, settings) if name == TICKS[0] else None
            for number in range(1 + REPEATED_TICKS):
                with (
                    dg.build_sensor_context(
                        instance=instance, cursor=cursor, repository_def=repository
                    ) as context,
                    _measured(f"{'every other' if number else 'first'} tick of {name}"),
                ):
                    found = repository.get_sensor_def(name).evaluate_tick(context)
                assert not found.run_requests or name == "refresh_sequence", found
                cursor = found.cursor


def _top(settings: Settings) -> None:
    with open_session(settings) as session, _measured("top"):
        assert read_stored_top_spenders(session).height


def _overview(settings: Settings) -> None:
    with open_session(settings) as session, _measured("overview"):
        build_overview(session.store, settings.state_dir, datetime.now(UTC))


def _nothing_missing(settings: Settings) -> None:
    with open_session(settings) as session:
        tables = [report.table for report in settings.chosen_reports if report.cadence == "daily"]
        for number in range(2):
            with _measured("sync with nothing to do" if number else "sync with nothing to do, first"):
                plan = plan_missing_columns(session, settings.advertiser_ids, None, tables)
            assert not plan.lines, plan


MEASURES: Mapping[str, Callable[[Settings], None]] = {
    "planning": _planning,
    "ticks": _ticks,
    "top": _top,
    "overview": _overview,
    "nothing": _nothing_missing,
}


def main() -> None:
    """Measure what the first argument names."""
    MEASURES[sys.argv[1]](load_settings())
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"seconds": _seconds, "cpu": usage.ru_utime + usage.ru_stime}))  # noqa: T201 - read by `growth`


if __name__ == "__main__":
    main()
