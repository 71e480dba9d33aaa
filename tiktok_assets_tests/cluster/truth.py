"""Compare the stored daily reports with the ground truth of the sandbox, and its log with the rate limit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import httpx

from tiktok_assets.settings import Settings
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.report_model import Report
from tiktok_assets.storage.parquet_store import HiveStore
from tiktok_assets.tables.schema import report_schema
from tiktok_assets_tests.cluster.dagster_client import parse_time
from tiktok_assets_tests.ingest.conftest import to_column_value

LEVELS = ("advertiser", "campaign", "ad_group", "ad")
"""The levels that are compared; the world has no Smart+ campaign."""

REFUSED = 40100
"""The API's code of a request over the rate limit."""


@dataclass
class Comparison:
    """How many rows are as the ground truth says.

    Attributes:
        equal: rows with equal values.
        wrong: the first of those that are missing, are there twice or belong to nothing, or have other values.
        partitions: compared partitions.
    """

    equal: int = 0
    partitions: int = 0
    wrong: list[str] = field(default_factory=list)


def list_compared_reports(settings: Settings) -> list[Report]:
    """Return the daily reports at the levels that are compared."""
    return [one for one in settings.chosen_reports if one.cadence == "daily" and one.level.name in LEVELS]


def compare_with_truth(url: str, settings: Settings, days: Sequence[date], result: Comparison) -> None:
    """Compare the complete days of all accounts, at each level of the daily reports.

    Args:
        url: of the sandbox.
        settings: of the code location, which name its accounts, reports and store.
        days: that have to be stored; the last of them was over in every time zone when it was read.
        result: is added to.
    """
    store = HiveStore(settings.data_dir)
    for report in list_compared_reports(settings):
        schema = report_schema(report, STANDARD_METRICS)
        for advertiser_id in settings.advertiser_ids:
            frame = store.scan(report.table, schema, advertiser_ids=[advertiser_id], days=days).collect()
            stored = {partition.day for partition in store.partitions(report.table, [advertiser_id])}
            result.wrong += [
                f"{report.table} {advertiser_id} {day} is missing" for day in days if day not in stored
            ]
            result.partitions += len(stored & set(days))
            expected = dict(_true_rows(url, report, advertiser_id, days))
            id_column = report.key[0] if report.level.name == "advertiser" else report.key[-1]
            found: dict[tuple[str, str], dict[str, Any]] = {}
            for row in frame.to_dicts():
                key = (row[id_column], row["date"].isoformat())
                if key in found:
                    result.wrong.append(f"{report.table} {key} is stored twice")
                found[key] = {metric.name: row[metric.name] for metric in STANDARD_METRICS}
            result.equal += sum(found.get(key) == row for key, row in expected.items())
            result.wrong += [
                f"{report.table} {key}: other values" for key in expected if found.get(key) != expected[key]
            ]
            result.wrong += [f"{report.table} {key}: belongs to nothing" for key in found if key not in expected]


def _true_rows(
    url: str, report: Report, advertiser_id: str, days: Sequence[date]
) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    parameters = {
        "level": report.level.name,
        "advertiser_id": advertiser_id,
        "start_date": min(days).isoformat(),
        "end_date": max(days).isoformat(),
    }
    for fact in httpx.get(f"{url}/sandbox/truth/report", params=parameters, timeout=120).raise_for_status().json():
        values = fact["metrics"]
        yield (
            (fact["id"], fact["date"]),
            {metric.name: to_column_value(metric.kind, values[metric.api_name]) for metric in STANDARD_METRICS},
        )


def list_days(first: date, count: int) -> list[date]:
    """Return consecutive days."""
    return [first + timedelta(days=number) for number in range(count)]


@dataclass(frozen=True, slots=True)
class Traffic:
    """The requests of a time, by the sandbox's own log.

    Attributes:
        times: when each was received, in epoch seconds and in order.
        refused: how many were over the rate limit.
        failed: how many had another error.
    """

    times: Sequence[float]
    refused: int
    failed: int

    @property
    def busiest_second(self) -> int:
        """The most requests within any second."""
        most = start = 0
        for end, time in enumerate(self.times):
            while time - self.times[start] >= 1:
                start += 1
            most = max(most, end - start + 1)
        return most


def read_traffic(url: str) -> Traffic:
    """Return the requests so far."""
    requests = httpx.get(f"{url}/sandbox/requests", timeout=120).raise_for_status().json()
    codes = [one["code"] for one in requests]
    refused = codes.count(REFUSED)
    return Traffic(
        sorted(parse_time(one["time"]) for one in requests), refused, sum(code != 0 for code in codes) - refused
    )
