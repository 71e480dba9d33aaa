"""The command `duplicate`, which loads only what it needs."""

from typing import Annotated

import typer

from tiktok_assets.commands.options import Advertiser, Json, settings_to_store
from tiktok_assets.commands.output import say, say_text, tell
from tiktok_assets.commands.problems import Problem, WrongUsage


def duplicate(
    ad_id: Annotated[str | None, typer.Argument(help="The ad to duplicate.")] = None,
    campaign: Annotated[str | None, typer.Option("--to", help="Campaign; else TIKTOK_SCALING_CAMPAIGNS'.")] = None,
    advertiser: Advertiser = None,
    ad_group: Annotated[
        str | None, typer.Option("--ad-group", help="Into this ad group; else a copy of the source's is made.")
    ] = None,
    budget: Annotated[str | None, typer.Option(help="Of that copy; else the source's.")] = None,
    again: Annotated[int, typer.Option(min=0, help="Ask for another copy: 1, 2, …")] = 0,
    live: Annotated[
        bool, typer.Option("--live", help="Send the requests once approved; else they are printed.")
    ] = False,
    enable: Annotated[
        bool, typer.Option("--enable", help="Let what is made deliver at once; needs TIKTOK_SCALING_ENABLE=allow.")
    ] = False,
    without_emoji: Annotated[
        bool, typer.Option("--without-emoji", help="Cut emoji from the ad's texts, which TikTok refuses.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask; not where several hosts share the state.")
    ] = False,
    code: Annotated[
        bool, typer.Option("--code", help="Read the alert's approval code from standard input instead of asking.")
    ] = False,
    status: Annotated[bool, typer.Option("--status", help="Say where each duplication stands.")] = False,
    as_json: Json = False,
) -> None:
    """Duplicate an ad into another campaign, switched off; a dry run that prints the requests unless --live."""
    from tiktok_assets.commands import duplications  # noqa: PLC0415
    from tiktok_assets.commands.approval import asked_approval  # noqa: PLC0415
    from tiktok_assets.commands.show import print_json, print_rows  # noqa: PLC0415
    from tiktok_assets.scaling import words  # noqa: PLC0415
    from tiktok_assets.scaling.duplication import Wish  # noqa: PLC0415
    from tiktok_assets.session import open_session  # noqa: PLC0415

    settings = settings_to_store()
    if (ad_id is None) != status:
        raise WrongUsage("name the ad to duplicate, or ask for --status.")
    with open_session(settings) as session:
        if ad_id is None:
            rows = [
                words.as_row(entry)
                for entry in duplications.standing(session, [advertiser] if advertiser else None)
            ]
            print_json(rows) if as_json else print_rows(rows, words.STATUS_SHOWN)
            return
        if live:
            duplications.require_writing(settings, enable=enable)
        owner = duplications.asked_owner(session, advertiser, duplications.asked_id(ad_id, "the ad"))
        group = duplications.asked_id(ad_group, "--ad-group") if ad_group else None
        target = duplications.asked_campaign(settings, campaign, owner)
        amount = duplications.asked_amount(budget)
        wish = Wish(owner, ad_id, target, group, amount, again, enable, without_emoji=without_emoji)
        if not live:
            rehearsal = duplications.rehearse(session, wish)
            print_json(words.rehearsal_as_row(rehearsal)) if as_json else say_text(
                words.rehearsal_in_words(rehearsal)
            )
            if rehearsal.refusals:
                raise Problem(f"a live run would be refused: {'; '.join(rehearsal.refusals)}.")
            return
        approval = asked_approval(session, wish, yes=yes, code=code)
        entry, was_done = duplications.carry_out(session, wish, approval)
        if was_done:
            tell("It was done before; nothing was sent. Another copy is asked for with --again.")
        print_json(words.as_row(entry)) if as_json else say(words.done_in_words(entry))
