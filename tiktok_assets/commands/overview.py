"""`overview`: the page of all accounts, made anew from the store."""

from typing import Annotated

import typer

from tiktok_assets.commands.options import Json, settings_now
from tiktok_assets.commands.output import say


def overview(
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False, as_json: Json = False
) -> None:
    """Make `account_overview.html` from what is stored and print where it is; asks TikTok nothing."""
    from tiktok_assets.commands.page import address_of, make_page  # noqa: PLC0415 - loads the templates
    from tiktok_assets.commands.show import print_json  # noqa: PLC0415
    from tiktok_assets.session import open_session  # noqa: PLC0415

    with open_session(settings_now()) as session:
        page = make_page(session)
    if as_json:
        print_json({"path": page.path, "bytes": page.bytes, "accounts": len(page.contents.accounts)})
    else:
        say(page.path)
    if open_it:
        typer.launch(address_of(page))
