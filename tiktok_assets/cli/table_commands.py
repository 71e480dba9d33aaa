"""Declare the commands that work on stored tables, without a request: `compare`, `publish` and `compact`.

This module is imported at every start, so it imports the modules of its commands only when they run.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from tiktok_assets.cli.errors import CommandError, UsageError
from tiktok_assets.cli.options import AdvertisersOption, CsvOption, JsonOption, RawOption
from tiktok_assets.cli.output import log_line, print_line

if TYPE_CHECKING:
    from tiktok_assets.settings import Settings


def compare(
    by: Annotated[
        str, typer.Option(help="account, campaign, adgroup, ad, creative, or country where that report is stored.")
    ] = "campaign",
    this: Annotated[
        str,
        typer.Option(
            help="The period: 7d, 28d or another number of days up to the last complete one, month, last-month, or"
            " two days such as 2026-11-01:2026-11-07."
        ),
    ] = "7d",
    against: Annotated[
        str,
        typer.Option(
            help="previous (as many days just before), year (52 weeks earlier, so that weekdays match), or two"
            " days as above."
        ),
    ] = "previous",
    sort: Annotated[
        str,
        typer.Option(
            help="Column to sort by, largest first, such as spend, cpa_change or roas_before; spend_difference is"
            " the amount by which spend rose or fell."
        ),
    ] = "spend_difference",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Rows of each currency; its total stays that of all rows.")
    ] = None,
    advertisers: AdvertisersOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    raw: RawOption = False,
) -> None:
    """Compare spend, results and rates of two periods, from stored complete days and without a request."""
    from tiktok_assets.cli.compare import compare as compare_periods  # noqa: PLC0415
    from tiktok_assets.cli.compare_rendering import print_comparison  # noqa: PLC0415
    from tiktok_assets.cli.session import load_storage_settings  # noqa: PLC0415
    from tiktok_assets.session import open_session  # noqa: PLC0415

    if as_json and as_csv:
        raise UsageError("--json and --csv cannot be used together.")
    if raw and not as_csv:
        raise UsageError("--raw needs --csv: add it, or remove --raw.")
    with open_session(load_storage_settings()) as session:
        comparison = compare_periods(
            session.store, advertisers, by=by, this=this, against=against, sort=sort, limit=limit
        )
    print_comparison(comparison, as_json=as_json, as_csv=as_csv, raw=raw)


def publish(
    destinations: Annotated[
        list[str] | None, typer.Option("--to", help="Only this destination of TIKTOK_DESTINATIONS; repeatable.")
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Publish nothing; compare rows, counts and sums by partition, and print what differs.",
        ),
    ] = False,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Compare first, and publish what differs again, such as rows changed by someone else."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Publish the stored partitions that changed to the databases and lakes of TIKTOK_DESTINATIONS."""
    from tiktok_assets.cli.publish import publish_to_destinations, select_destinations  # noqa: PLC0415
    from tiktok_assets.cli.rendering import print_json, print_rows  # noqa: PLC0415
    from tiktok_assets.cli.session import load_storage_settings  # noqa: PLC0415

    if check and repair:
        raise UsageError("--check changes nothing; use it without --repair.")
    settings = load_storage_settings()
    names = select_destinations(settings, destinations)
    if check:
        _check_destinations(settings, names, as_json=as_json)
        return
    results = list(publish_to_destinations(settings, names, log_line, repair=repair))
    rows = [
        {
            "destination": one.destination,
            "partitions": sum(one.partitions.values()),
            "rows": sum(one.rows.values()),
            "unchanged": one.unchanged,
            "seconds": one.seconds,
        }
        for one in results
    ]
    if as_json:
        print_json([{**row, "failures": one.failures} for row, one in zip(rows, results, strict=True)])
    else:
        print_rows(rows, ("destination", "partitions", "rows", "unchanged", "seconds"))
    if failures := [failure for one in results for failure in one.failures]:
        raise CommandError(". ".join(failures) + ".")


def _check_destinations(settings: "Settings", names: list[str], *, as_json: bool) -> None:
    from tiktok_assets.cli.publish import compare_destinations  # noqa: PLC0415
    from tiktok_assets.cli.rendering import print_json  # noqa: PLC0415

    differences, failures = compare_destinations(settings, names)
    if as_json:
        print_json(
            [
                {
                    "destination": name,
                    "table": one.table,
                    "partition": one.partition.folder if one.partition else None,
                    "difference": one.reason,
                    "is_published": not one.is_pending,
                }
                for name, one in differences
            ]
        )
    else:
        for name, one in differences:
            print_line(f"{name}: {one}")
    if failures:
        raise CommandError(". ".join(failures) + ".")
    if any(one.is_pending for _, one in differences):
        raise CommandError("stored partitions are not published yet; run `tiktok-assets publish`.")
    if differences:
        raise CommandError(
            "destinations differ from the store; run `tiktok-assets publish --repair` to publish these again."
        )
    if not as_json:
        print_line(f"{', '.join(names)}: every stored partition is published, and nothing differs.")


def compact(
    before: Annotated[
        str | None,
        typer.Option(
            help="Months that end before this day, YYYY-MM-DD; by default those that no refresh reads again."
        ),
    ] = None,
    advertisers: AdvertisersOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; print what would be compacted.")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Give every day a file of its own again, for other engines.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the days of past months into one file per account and month, so that years are read in seconds."""
    from tiktok_assets.cli.compact import compact as compact_tables  # noqa: PLC0415
    from tiktok_assets.cli.rendering import print_json, print_rows  # noqa: PLC0415
    from tiktok_assets.cli.session import load_storage_settings  # noqa: PLC0415

    if undo and (dry_run or before):
        raise UsageError("--undo restores every month; use it without --dry-run and --before.")
    months = compact_tables(load_storage_settings(), before, advertisers, dry_run=dry_run, undo=undo, log=log_line)
    if as_json:
        print_json([asdict(month) for month in months])
        return
    rows = []
    for table in dict.fromkeys(month.table for month in months):
        of_table = [month for month in months if month.table == table]
        done = [month for month in of_table if month.reason is None]
        days = sum(month.days for month in done)
        rows.append({"table": table, "months": len(done), "days": days, "kept": len(of_table) - len(done)})
    print_rows(rows, ("table", "months", "days", "kept"))
    for month in months:
        if month.reason:
            print_line(str(month))
