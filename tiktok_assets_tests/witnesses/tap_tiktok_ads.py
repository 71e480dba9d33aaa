"""Read the sandbox with the Singer tap `tap-tiktok-ads` and compare its totals with the ground truth.

Run by `make witness`: installs the tap in a temporary virtual environment. The exit code is 1 if a stream differs.
The tap is not modified; its requests are redirected to the sandbox through the HTTP library it uses.

The test avoids known limits of the tap. It drops entities and accounts older than `start_date`, so these are read
with an early date. It drops the last day of ranges of 31 days (1 mod 30), so reports are read over 30 days. Its
schema has no "-", so the last day is one with a known reach. It keeps the filter for deleted entities for the next
account, so entities are read one account at a time. It does not request the reports of deleted ads.
"""

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox

PACKAGE = "tap-tiktok-ads==1.2.1"
DAYS = 30
TIMEOUT_SECONDS = 600
# Redirects the fixed host of the tap to the sandbox.
RUNNER = """
import sys, requests
sandbox_url = sys.argv.pop(1)
original_request = requests.Session.request
def request(self, method, url, *args, **kwargs):
    url = url.replace("https://business-api.tiktok.com", sandbox_url)
    return original_request(self, method, url, *args, **kwargs)
requests.Session.request = request
from tap_tiktok_ads import main
main()
"""
ENTITIES = {"advertisers": "advertisers", "campaigns": "campaigns", "adgroups": "ad_groups", "ads": "ads"}
WHOLE = ("ad_insights", "ad_insights_by_age_and_gender", "ad_insights_by_platform")
"""Streams whose spend and impressions equal the ground truth; a breakdown by country omits a part."""

Json = dict[str, Any]
Totals = tuple[int, Decimal, int]


class Tap:
    """The tap, installed in a virtual environment of its own."""

    def __init__(self, folder: Path, base_url: str) -> None:
        self._folder, self._base_url = folder, base_url
        venv.create(folder / "venv", with_pip=True)
        self._python = str(folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python")
        self._run("-m", "pip", "--disable-pip-version-check", "--quiet", "install", PACKAGE)
        (folder / "runner.py").write_text(RUNNER, encoding="utf-8")

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(  # noqa: S603 - Python of the virtual environment
            [self._python, *arguments], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
        if done.returncode:
            sys.exit(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        return done.stdout

    def _run_tap(self, config: Mapping[str, str], *arguments: str) -> str:
        (self._folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        runner, given = str(self._folder / "runner.py"), str(self._folder / "config.json")
        return self._run(runner, self._base_url, "--config", given, *arguments)

    def discover(self, config: Mapping[str, str]) -> Json:
        """Return the catalogue with the streams of the tap."""
        found: Json = json.loads(self._run_tap(config, "--discover"))
        return found

    def sync(self, config: Mapping[str, str], catalogue: Json, streams: Iterable[str]) -> dict[str, list[Json]]:
        """Read the records of some streams."""
        chosen = [one for one in catalogue["streams"] if one["tap_stream_id"] in set(streams)]
        for part in (part for one in chosen for part in one["metadata"]):
            part["metadata"]["selected"] = True
        file = self._folder / "catalogue.json"
        file.write_text(json.dumps({"streams": chosen}), encoding="utf-8")
        lines = self._run_tap(config, "--catalog", str(file)).splitlines()
        messages = [json.loads(line, parse_float=Decimal) for line in lines]
        records: dict[str, list[Json]] = {one["tap_stream_id"]: [] for one in chosen}
        for message in messages:
            if message["type"] == "RECORD":
                records[message["stream"]].append(message["record"])
        return records


def compute_totals(records: Iterable[Json]) -> Totals:
    """Return number of rows, spend and impressions."""
    rows = list(records)
    spend = sum((Decimal(str(row.get("spend") or 0)) for row in rows), Decimal())
    return len(rows), spend, sum(int(row.get("impressions") or 0) for row in rows)


def read_ground_truth(base_url: str, what: str, **query: str) -> list[Json]:
    """Read the ground truth of the sandbox."""
    answer = httpx.get(f"{base_url}/sandbox/truth/{what}", params=query, timeout=60).raise_for_status()
    rows: list[Json] = answer.json()
    return rows


def compute_expected_totals(base_url: str, owners: list[str], first: date, last: date) -> Totals:
    """Return the totals of ads that are not deleted, because the tap requests no others (API notes 6.4)."""
    rows = []
    for owner in owners:
        not_deleted = {
            item["ad_id"]
            for item in read_ground_truth(base_url, "ads", advertiser_id=owner)
            if not item["secondary_status"].endswith("_DELETE")
        }
        window = {"start_date": first.isoformat(), "end_date": last.isoformat()}
        facts = read_ground_truth(base_url, "report", level="ad", advertiser_id=owner, **window)
        rows += [fact["metrics"] for fact in facts if fact["id"] in not_deleted]
    return compute_totals(rows)


def main() -> int:
    """Run the tap and print the comparison; return 1 if a total differs."""
    with RunningSandbox(limits=Limits(qps=None, qpm=None)) as sandbox, tempfile.TemporaryDirectory() as folder:
        owners = [one.id for one in sandbox.world.advertisers.values() if one.granted]
        tap = Tap(Path(folder), sandbox.base_url)
        last = sandbox.clock.now().date() - timedelta(3)
        first = last - timedelta(DAYS - 1)
        config = {"access_token": sandbox.token, "accounts": ",".join(owners), "include_deleted": "true"}
        recent = config | {"start_date": f"{first}T00:00:00Z", "end_date": f"{last}T00:00:00Z"}
        early = recent | {"start_date": "2012-01-01T00:00:00Z"}
        catalogue = tap.discover(recent)
        names = [one["tap_stream_id"] for one in catalogue["streams"]]
        records: dict[str, list[Json]] = {}
        for owner in owners:
            read = tap.sync(early | {"accounts": owner}, catalogue, [name for name in names if name in ENTITIES])
            records = {stream: records.get(stream, []) + rows for stream, rows in read.items()}
        records |= tap.sync(recent, catalogue, [name for name in names if name not in ENTITIES])
        expected: dict[str, Totals] = {
            stream: (
                sum(len(read_ground_truth(sandbox.base_url, kind, advertiser_id=one)) for one in owners),
                Decimal(),
                0,
            )
            for stream, kind in ENTITIES.items()
        }
        expected |= dict.fromkeys(WHOLE, compute_expected_totals(sandbox.base_url, owners, first, last))
    return print_comparison(records, expected)


def print_comparison(records: Mapping[str, list[Json]], expected: Mapping[str, Totals]) -> int:
    """Print a line per stream; row counts of breakdowns are not compared."""
    print(f"{'stream':34}{'rows':>8}{'true':>8}{'spend':>14}{'true':>14}{'impressions':>14}{'true':>12}  agrees")  # noqa: T201 - its result
    wrong = [stream for stream in expected if stream not in records]
    for stream, rows in records.items():
        made, true = compute_totals(rows), expected.get(stream)
        if true is None:
            print(f"{stream:34}{made[0]:8}{'':8}{made[1]:14}{'':14}{made[2]:14}{'':12}  not compared")  # noqa: T201 - its result
            continue
        by_parts = stream in WHOLE[1:]
        agrees = made[1:] == true[1:] and (by_parts or made[0] == true[0])
        wrong += [] if agrees else [stream]
        true_rows = "" if by_parts else true[0]
        print(f"{stream:34}{made[0]:8}{true_rows:8}{made[1]:14}{true[1]:14}{made[2]:14}{true[2]:12}  {agrees}")  # noqa: T201 - its result
    if wrong:
        print(f"{PACKAGE} and the ground truth differ in: {', '.join(wrong)}")  # noqa: T201 - its result
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
