"""Declare the commands that refresh the stored tables, `sync`, and that say what it takes, `plan`.

This module is imported at every start, so it imports the modules of its commands only when they run.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from tiktok_assets.cli.errors import CommandError
from tiktok_assets.cli.options import AdvertisersOption, FromOption, JsonOption, SelectOption, ToOption
from tiktok_assets.cli.output import log_line, print_line

if TYPE_CHECKING:
    from tiktok_assets.cli.sync_result import SyncRequest
    from tiktok_assets.settings import Settings

MissingColumnsOption = Annotated[
    bool,
    typer.Option(
        "--missing-columns",
        help="Instead of the usual days, the stored days that lack a column which is selected now.",
    ),
]


def plan(
    advertisers: AdvertisersOption = None,
    first: FromOption = None,
    last: ToOption = None,
    select: SelectOption = None,
    missing_columns: MissingColumnsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print the requests, minutes and rows of a refresh; this sends a few one-row requests."""
    from tiktok_assets.cli.session import load_storage_settings  # noqa: PLC0415
    from tiktok_assets.cli.sync_result import SyncRequest  # noqa: PLC0415

    request = SyncRequest(advertisers or (), first, last, select, missing_columns)
    _print_plan(load_storage_settings(), request, as_json=as_json)


def sync(
    advertisers: AdvertisersOption = None,
    first: FromOption = None,
    last: ToOption = None,
    select: SelectOption = None,
    missing_columns: MissingColumnsOption = False,
    plan_only: Annotated[
        bool, typer.Option("--plan", help="Print the requests, minutes and rows, and exit.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Refresh all tables in one process: entities, daily and lifetime reports, top spenders and the warehouse."""
    from tiktok_assets.cli.process import return_freed_memory_early  # noqa: PLC0415

    return_freed_memory_early()  # before the imports below, which load Polars
    from tiktok_assets.cli.rendering import print_json, print_rows  # noqa: PLC0415
    from tiktok_assets.cli.session import load_storage_settings, prefetch_daily_report  # noqa: PLC0415
    from tiktok_assets.cli.sync_result import SyncRequest  # noqa: PLC0415
    from tiktok_assets.session import open_session  # noqa: PLC0415

    settings = load_storage_settings()
    request = SyncRequest(advertisers or (), first, last, select, missing_columns)
    if plan_only:
        _print_plan(settings, request, as_json=as_json)
        return
    with open_session(settings) as session:
        if not missing_columns:
            prefetch_daily_report(session, advertisers or (), first, last, select)
        # Imported only now: the first report is read while Dagster loads.
        from tiktok_assets.cli.progress import sync_with_progress  # noqa: PLC0415

        result = sync_with_progress(settings, session, request, log_line)
    if as_json:
        print_json(
            {name: getattr(result, name) for name in ("rows", "partitions", "runs", "requests", "retries")}
            | {"megabytes": result.megabytes, "seconds": result.seconds}
            | {"failures": result.failures, "warnings": result.warnings}
        )
    else:
        rows = [
            {"table": table, "partitions": count, "rows": result.rows[table]}
            for table, count in result.partitions.items()
        ]
        print_rows(rows, ("table", "partitions", "rows"))
        print_line(
            f"{result.requests} requests, {result.retries} retries, {result.megabytes} MB,"
            f" {result.runs} runs, {result.seconds} s"
        )
    if result.failures:
        raise CommandError("part of the refresh failed; the rest is stored. " + " ".join(result.failures))


def _print_plan(settings: "Settings", request: "SyncRequest", *, as_json: bool) -> None:
    from tiktok_assets.cli.arguments import parse_window, select_advertisers, select_tables  # noqa: PLC0415
    from tiktok_assets.cli.missing_columns import plan_missing_columns  # noqa: PLC0415
    from tiktok_assets.cli.plan import list_planned_tables, plan_refresh  # noqa: PLC0415
    from tiktok_assets.cli.rendering import print_json, print_rows  # noqa: PLC0415
    from tiktok_assets.cli.session import open_interactive_session  # noqa: PLC0415

    with open_interactive_session(settings) as session:
        tables = select_tables(request.select, list_planned_tables(settings, request.missing_columns))
        advertiser_ids = select_advertisers(request.advertisers, session.advertiser_ids)
        window = parse_window(request.first, request.last, start=settings.start_date, now=session.now())
        if request.missing_columns:
            result = plan_missing_columns(session, advertiser_ids, window, tables)
        else:
            result = plan_refresh(session, advertiser_ids, window, tables, is_end_named=bool(request.last))
    rows = [{"table": line.subject, "requests": line.requests, "rows": line.rows} for line in result.lines]
    ways = {table: why for table, why in result.ways.items() if window}
    if as_json:
        found = {"missing_columns": result.notes} if request.missing_columns else {}
        total = {"requests": result.requests, "rows": result.rows, "minutes": result.minutes}
        print_json({"lines": rows, **total, **found, **({"ways": ways} if ways else {})})
        return
    for note in result.notes:
        print_line(note)
    print_rows(rows, ("table", "requests", "rows"))
    for why in dict.fromkeys(ways.values()):
        print_line(f"{', '.join(table for table, one in ways.items() if one == why)}: {why}.")
    print_line(
        f"{result.requests} requests for {result.rows:,} rows: {result.minutes or 'under 0.1'} minutes at"
        f" {settings.requests_per_second:g} requests a second; this plan took {result.probes} requests."
    )
