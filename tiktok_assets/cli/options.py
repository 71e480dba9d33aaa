"""Define the options that several commands share."""

from typing import Annotated

import typer

from tiktok_assets.cli.output import print_line

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, with amounts as exact text.")]
CsvOption = Annotated[
    bool, typer.Option("--csv", help="Print CSV; text that a spreadsheet would run as a formula is quoted.")
]
RawOption = Annotated[bool, typer.Option("--raw", help="With --csv: do not quote formulas; for programs.")]
AdvertiserOption = Annotated[
    str | None, typer.Option(help="Advertiser id of the ad account; required if there are several.")
]
AdvertisersOption = Annotated[
    list[str] | None, typer.Option("--advertiser", help="Only this ad account; repeatable.")
]
FromOption = Annotated[str | None, typer.Option("--from", help="First day, YYYY-MM-DD.")]
ToOption = Annotated[str | None, typer.Option("--to", help="Last day, YYYY-MM-DD; by default yesterday.")]
CampaignOption = Annotated[str | None, typer.Option(help="Only this campaign.")]
AdGroupOption = Annotated[str | None, typer.Option(help="Only this ad group.")]
SelectOption = Annotated[
    str | None, typer.Option(help="Comma-separated assets, and check_tables; by default all.")
]


def _print_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version  # noqa: PLC0415 - only `--version` needs it

        print_line(f"tiktok-assets {version('tiktok-assets')}")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
]
