"""Read an account into tables without Dagster and print time and requests as JSON."""

import json
import sys
import time
from datetime import date

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.ingest.accounts import load_accounts
from tiktok_assets.ingest.partitions import FailedPartitions
from tiktok_assets.ingest.writer import refresh_advertisers, refresh_entity, refresh_report
from tiktok_assets.session import open_session
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.entities import CAMPAIGN_ENTITIES
from tiktok_assets.spec.reports import REPORTS_BY_TABLE


def main(first: str, last: str) -> None:
    """Read hierarchy and daily ad report of every account of the settings, from `first` to `last`."""
    settings, rows = load_settings(), 0
    window = DateWindow(date.fromisoformat(first), date.fromisoformat(last))
    began = time.monotonic()
    with open_session(settings) as session:
        reader, store, ids = session.reader, session.store, session.advertiser_ids
        refresh_advertisers(reader, store, ids)
        for entity in CAMPAIGN_ENTITIES:
            for landed in refresh_entity(reader, store, entity, ids):
                if isinstance(landed, FailedPartitions):
                    sys.exit(str(landed))
        accounts, _ = load_accounts(reader, store, settings, ids)
        report = REPORTS_BY_TABLE["ad_report_daily"]
        for landed in refresh_report(reader, store, report, dict.fromkeys(accounts, window.days)):
            if isinstance(landed, FailedPartitions):
                sys.exit(str(landed))
            rows += landed.rows
        cost = session.total
        summary = {"requests": cost.requests, "retries": cost.retries, "rows": rows, "megabytes": cost.bytes / 1e6}
    print(json.dumps(summary | {"seconds": time.monotonic() - began}))  # noqa: T201 - read by the benchmark


if __name__ == "__main__":
    main(*sys.argv[1:3])
