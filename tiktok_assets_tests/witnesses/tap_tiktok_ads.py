"""The Singer tap `tap-tiktok-ads` discovers and reads the whole sandbox; its totals are held against the truth.

Run by `make witness`: installs the tap in a virtual environment of its own in a temporary folder. Exit code 1
where a stream differs. Nothing of the tap is copied here; it is told where the sandbox is through the HTTP
library it uses.

Chosen around its known limits. Entities and accounts older than `start_date` are dropped, so these are read from
an early date. The last day of a range of 31 days (1 mod 30) is dropped, so reports are read over 30. Its schema
has no room for "-", so the last day is one whose reach has come. Asked for deleted entities, it forgets to take
that filter back before the next account, so entities are read account by account. It does not ask for the reports
of deleted ads.
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
# It writes its host into each URL; this sends them elsewhere, and changes nothing else.
RUNNER = """
import sys, requests
elsewhere = sys.argv.pop(1)
ordinary = requests.Session.request
def request(self, method, url, *args, **kwargs):
    return ordinary(self, method, url.replace("https://business-api.tiktok.com", elsewhere), *args, **kwargs)
requests.Session.request = request
from tap_tiktok_ads import main
main()
"""
ENTITIES = {"advertisers": "advertisers", "campaigns": "campaigns", "adgroups": "ad_groups", "ads": "ads"}
WHOLE = ("ad_insights", "ad_insights_by_age_and_gender", "ad_insights_by_platform")
"""Streams whose spend and impressions are the truth's; a breakdown by country leaves a part out."""

Json = dict[str, Any]
Figures = tuple[int, Decimal, int]


class Tap:
    """The tap in an environment of its own."""

    def __init__(self, folder: Path, base_url: str) -> None:
        self._folder, self._base_url = folder, base_url
        venv.create(folder / "venv", with_pip=True)
        self._python = str(folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python")
        self._run("-m", "pip", "--disable-pip-version-check", "--quiet", "install", PACKAGE)
        (folder / "runner.py").write_text(RUNNER, encoding="utf-8")

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(  # noqa: S603 - our own environment's Python
            [self._python, *arguments], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
        if done.returncode:
            sys.exit(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        return done.stdout

    def _asked(self, config: Mapping[str, str], *arguments: str) -> str:
        (self._folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        runner, given = str(self._folder / "runner.py"), str(self._folder / "config.json")
        return self._run(runner, self._base_url, "--config", given, *arguments)

    def discover(self, config: Mapping[str, str]) -> Json:
        """Its catalogue: the streams it may read."""
        found: Json = json.loads(self._asked(config, "--discover"))
        return found

    def sync(self, config: Mapping[str, str], catalogue: Json, streams: Iterable[str]) -> dict[str, list[Json]]:
        """The records of some streams."""
        chosen = [one for one in catalogue["streams"] if one["tap_stream_id"] in set(streams)]
        for part in (part for one in chosen for part in one["metadata"]):
            part["metadata"]["selected"] = True
        file = self._folder / "catalogue.json"
        file.write_text(json.dumps({"streams": chosen}), encoding="utf-8")
        lines = self._asked(config, "--catalog", str(file)).splitlines()
        said = [json.loads(line, parse_float=Decimal) for line in lines]
        records: dict[str, list[Json]] = {one["tap_stream_id"]: [] for one in chosen}
        for message in said:
            if message["type"] == "RECORD":
                records[message["stream"]].append(message["record"])
        return records


def figures(records: Iterable[Json]) -> Figures:
    """Rows, spend and impressions."""
    rows = list(records)
    spend = sum((Decimal(str(row.get("spend") or 0)) for row in rows), Decimal())
    return len(rows), spend, sum(int(row.get("impressions") or 0) for row in rows)


def truth(base_url: str, what: str, **asked: str) -> list[Json]:
    """What the world holds."""
    answer = httpx.get(f"{base_url}/sandbox/truth/{what}", params=asked, timeout=60).raise_for_status()
    rows: list[Json] = answer.json()
    return rows


def true_figures(base_url: str, owners: list[str], first: date, last: date) -> Figures:
    """The true figures of ads that are not deleted: the tap does not ask for the others (dossier 6.4)."""
    rows = []
    for owner in owners:
        living = {
            item["ad_id"]
            for item in truth(base_url, "ads", advertiser_id=owner)
            if not item["secondary_status"].endswith("_DELETE")
        }
        window = {"start_date": first.isoformat(), "end_date": last.isoformat()}
        facts = truth(base_url, "report", level="ad", advertiser_id=owner, **window)
        rows += [fact["metrics"] for fact in facts if fact["id"] in living]
    return figures(rows)


def main() -> int:
    """Run the tap and print the table; 1 where a figure differs."""
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
        expected: dict[str, Figures] = {
            stream: (sum(len(truth(sandbox.base_url, kind, advertiser_id=one)) for one in owners), Decimal(), 0)
            for stream, kind in ENTITIES.items()
        }
        expected |= dict.fromkeys(WHOLE, true_figures(sandbox.base_url, owners, first, last))
    return table(records, expected)


def table(records: Mapping[str, list[Json]], expected: Mapping[str, Figures]) -> int:
    """Print a line a stream; rows of breakdowns are not compared, for the truth has none."""
    print(f"{'stream':34}{'rows':>8}{'true':>8}{'spend':>14}{'true':>14}{'impressions':>14}{'true':>12}  agrees")  # noqa: T201 - its result
    wrong = [stream for stream in expected if stream not in records]
    for stream, rows in records.items():
        made, true = figures(rows), expected.get(stream)
        if true is None:
            print(f"{stream:34}{made[0]:8}{'':8}{made[1]:14}{'':14}{made[2]:14}{'':12}  not compared")  # noqa: T201 - its result
            continue
        by_parts = stream in WHOLE[1:]
        agrees = made[1:] == true[1:] and (by_parts or made[0] == true[0])
        wrong += [] if agrees else [stream]
        told = "" if by_parts else true[0]
        print(f"{stream:34}{made[0]:8}{told:8}{made[1]:14}{true[1]:14}{made[2]:14}{true[2]:12}  {agrees}")  # noqa: T201 - its result
    if wrong:
        print(f"{PACKAGE} and the truth differ in: {', '.join(wrong)}")  # noqa: T201 - its result
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
