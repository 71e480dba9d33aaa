"""Define the options that several commands share."""

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from tiktok_assets.cli.errors import UsageError
from tiktok_assets.cli.output import log_line, print_line

if TYPE_CHECKING:
    import polars as pl

    from tiktok_assets.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON; amounts are text, so that they stay exact.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV; a name a spreadsheet would run is quoted.")]
Raw = Annotated[bool, typer.Option("--raw", help="With --csv, for programs: every name as it is.")]
Advertiser = Annotated[str | None, typer.Option(help="The ad account; needed where there are several.")]
Advertisers = Annotated[list[str] | None, typer.Option("--advertiser", help="Only this account; repeatable.")]
From = Annotated[str | None, typer.Option("--from", help="First day, YYYY-MM-DD.")]
To = Annotated[str | None, typer.Option("--to", help="Last day, YYYY-MM-DD; yesterday if left out.")]
Campaign = Annotated[str | None, typer.Option(help="Only this campaign.")]
AdGroup = Annotated[str | None, typer.Option(help="Only this ad group.")]
Select = Annotated[str | None, typer.Option(help="Comma-separated assets, and check_tables; all if left out.")]


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - `--help` needs none

        print_line(f"tiktok-assets {version('tiktok-assets')}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
]


def load_command_settings() -> "Settings":
    """The settings of this process; `--help` needs none."""
    from tiktok_assets.settings import load_settings  # noqa: PLC0415

    _restrict_env_file()
    return load_settings()


def _restrict_env_file() -> None:
    """Take a `.env` of ours, which holds the token, from everyone else, and say so."""
    from tiktok_assets.cli.env_file import ENV_FILE  # noqa: PLC0415
    from tiktok_assets.file_permissions import restrict_file  # noqa: PLC0415

    with suppress(OSError):  # there is none, or it lies on a disk without permissions
        if restrict_file(ENV_FILE):
            log_line("Others could read .env; now its owner alone can (chmod 600).")


def load_storage_settings() -> "Settings":
    """The settings of this process, where they allow more than looking at an account.

    Raises:
        SettingsError: if they do not.
    """
    from tiktok_assets.settings import load_settings, require_storable_version  # noqa: PLC0415

    _restrict_env_file()
    settings = load_settings()
    require_storable_version(settings)
    return settings


def print_frame(rows: "pl.DataFrame", what: str, *, as_json: bool, as_csv: bool, raw: bool = False) -> None:
    """Print rows as a table for a person, or all columns as JSON or CSV.

    Raises:
        WrongUsage: if both are asked for, or a raw form of anything but CSV.
    """
    from tiktok_assets.cli.get import TABLE_COLUMNS  # noqa: PLC0415
    from tiktok_assets.cli.rendering import print_csv, print_json, print_rows  # noqa: PLC0415
    from tiktok_assets.cli.top import print_top_spenders  # noqa: PLC0415

    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other.")
    if raw and not as_csv:
        raise UsageError("--raw is about --csv; add it, or leave --raw out.")
    dicts = rows.to_dicts()
    if as_json:
        print_json(dicts)
    elif as_csv:
        print_csv(dicts, rows.columns, raw=raw)
    elif what == "top":
        print_top_spenders(rows)
    else:
        shown = TABLE_COLUMNS[what]
        parents = [column for column in shown if column in rows.columns and column.endswith("_id")]
        hidden = parents[:-1] if what == "report" else []  # a report's row is named by its own id alone
        print_rows(dicts, [name for name in shown if name in rows.columns and name not in hidden])
