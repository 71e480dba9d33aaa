"""Measure rows per second from the JSON of report pages to Parquet on one core, and the time of each part."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import httpx
import msgspec
import polars as pl

from tiktok_assets.api.envelope import read_envelope
from tiktok_assets.api.paged_query import PAGES_PER_BATCH
from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.ingest.report_reader import build_paged_query
from tiktok_assets.ingest.report_responses import ReportRequest
from tiktok_assets.session import Session
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE, served_metrics
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets.tables.fast_report_parser import parse_uniform_rows
from tiktok_assets.tables.frames import build_report_frame
from tiktok_assets.tables.report_row_parser import find_key_error
from tiktok_assets.tables.schema import numeric_dtypes
from tiktok_assets_tests.benchmarks.figure import Figure
from tiktok_assets_tests.benchmarks.programs import ROOT, Served, figure_of, sandbox
from tiktok_assets_tests.benchmarks.workload_a import WORLD

TOPIC = "Decoding and storing, on one core"
PAGES, RUNS, PROCESSES = 60, 7, 5
METRICS = 30
PARSED, TYPED = "JSON to columns, counts, rates and averages to numbers", "money and days from texts"
Result = TypeVar("Result")


def figures() -> Iterator[Figure]:
    """Measure rows per second with thirty metrics and the time of each part, in a process with one core."""
    with sandbox("--qps", "0", *WORLD) as served, tempfile.TemporaryDirectory() as folder:
        pages = Path(folder)
        advertiser_id, first = _download(served, pages)
        variables = {"POLARS_MAX_THREADS": "1", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "tiktok_assets_tests.benchmarks.decoding", folder, advertiser_id, first]
        runs = [
            subprocess.run(command, capture_output=True, check=True, text=True, env=variables)  # noqa: S603 - our own
            for _ in range(PROCESSES)
        ]
    parts = [json.loads(one.stdout) for one in runs]
    wholes = [sum(one.values()) for one in parts]
    rows = PAGES * 1000
    speeds = [rows / whole for whole in wholes]
    yield figure_of(TOPIC, f"{METRICS} metrics", speeds, "rows/s", target=150_000, at_least=True)
    for part in parts[0]:
        shares = [100 * one[part] / whole for one, whole in zip(parts, wholes, strict=True)]
        yield figure_of(TOPIC, f"… {part}", shares, "%")


def _request(advertiser_id: str, first: str) -> ReportRequest:
    day = datetime.fromisoformat(first).date()
    window = DateWindow(day, day + timedelta(days=29))
    return ReportRequest(REPORTS_BY_TABLE["ad_report_daily"], Account(advertiser_id, "USD", "UTC"), window)


def _session(folder: Path, **more: str) -> Session:
    names = [metric.api_name for metric in served_metrics(REPORTS_BY_TABLE["ad_report_daily"], STANDARD_METRICS)]
    settings = load_settings(
        data_dir=str(folder / "data"), state_dir=folder / "state", metrics=",".join(names[:METRICS]), **more
    )
    return Session(settings)


def _download(served: Served, folder: Path) -> tuple[str, str]:
    """Write every page of thirty days to a file; return the account and the first day."""
    advertiser_id = served.advertiser_ids[0]
    first = (served.anchor - timedelta(days=30)).date().isoformat()
    session = _session(folder)
    metrics_read = served_metrics(REPORTS_BY_TABLE["ad_report_daily"], session.reader.metrics)
    query = build_paged_query(session.reader, _request(advertiser_id, first), metrics_read, {})
    address = f"{served.base_url}/open_api/v1.3/{query.endpoint.path}"
    with httpx.Client(headers={"Access-Token": served.token}, timeout=60) as client:
        for number in range(1, PAGES + 1):
            sent = {**query.parameters, "page": str(number), "page_size": "1000"}
            text = {name: value if isinstance(value, str) else json.dumps(value) for name, value in sent.items()}
            (folder / f"{number:02}.json").write_bytes(client.get(address, params=text).content)
    session.close()
    return advertiser_id, first


class Clock:
    """Sums the CPU seconds of each part."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}

    def __call__(self, part: str, work: Callable[[], Result]) -> Result:
        """Run a function and add its time."""
        began = time.process_time()
        result = work()
        self.parts[part] = self.parts.get(part, 0.0) + time.process_time() - began
        return result


def _decode(folder: Path, advertiser_id: str, first: str) -> dict[str, float]:
    session, request, clock = _session(folder), _request(advertiser_id, first), Clock()
    metrics_read = served_metrics(request.report, session.reader.metrics)
    query = build_paged_query(session.reader, request, metrics_read, {})
    parse = query.parse_raw
    types = numeric_dtypes(metrics_read)
    names = {
        "dimensions": request.report.dimensions,
        "metrics": (*request.report.level.attributes, *(metric.api_name for metric in metrics_read)),
    }
    fields = {part: {name: types.get(name, pl.String()) for name in names[part]} for part in names}
    assert parse
    frames, files = [], sorted(folder.glob("*.json"))
    for first_file in range(0, len(files), PAGES_PER_BATCH):
        texts: list[msgspec.Raw] = []
        for file in files[first_file : first_file + PAGES_PER_BATCH]:
            response = httpx.Response(200, content=file.read_bytes())
            envelope = clock("the envelope", lambda: read_envelope(query.endpoint, response))  # noqa: B023 - at once
            assert envelope
            texts += envelope.data["list"]
        clock(PARSED, lambda: parse_uniform_rows(texts, fields))  # noqa: B023 - at once
        page = clock(TYPED, lambda: parse(texts))  # noqa: B023 - at once
        assert page
        frames.append(page[0])
    now = datetime.now(UTC)
    account, report = request.account, request.report
    frame = clock(
        "one sorted table, looked over",
        lambda: build_report_frame(report, session.reader.metrics, account, frames, now),
    )
    clock("one sorted table, looked over", lambda: find_key_error(frame, report.key, advertiser_id))
    store = HiveStore(str(folder / "data"))
    assert request.window
    for index, day in enumerate(request.window.days):
        rows = frame.slice(index * 2000, 2000)
        clock("Parquet", lambda: store.write(report.table, Partition(advertiser_id, day), rows))  # noqa: B023
    session.close()
    return clock.parts


def main(folder: str, advertiser_id: str, first: str) -> None:
    """Decode the pages several times and print the shortest time of each part."""
    runs = [_decode(Path(folder), advertiser_id, first) for _ in range(RUNS)]
    parts = {part: min(run[part] for run in runs) for part in runs[0]}
    parts[TYPED] -= parts[PARSED]  # which is part of it
    print(json.dumps(parts))  # noqa: T201 - read by `figures`


if __name__ == "__main__":
    main(*sys.argv[1:4])
