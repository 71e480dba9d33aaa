"""Format dry runs and ledger entries as Markdown for people and as rows for programs."""

from collections.abc import Callable
from typing import Any

from tiktok_assets.duplication.duplicator import DryRun
from tiktok_assets.duplication.models import (
    AD_GROUP_STEP,
    AD_STEP,
    DONE,
    REFUSED,
    DuplicationRequest,
    LedgerEntry,
    Step,
)
from tiktok_assets.escaping import escape_control_characters, escape_json

STATUS_COLUMNS = (
    "duplication_key",
    "status",
    "steps_made",
    "advertiser_id",
    "ad_id",
    "campaign_id",
    "copy_ad_group_id",
    "copy_ad_id",
    "started_at",
    "done_at",
    "approved_by",
    "approved_at",
    "reason",
)


def format_dry_run(rehearsal: DryRun, spelled: Callable[[str], str] = escape_control_characters) -> str:
    """Say what a live run would do now, as Markdown: what was checked, and each request as it would be sent.

    Args:
        rehearsal: of the duplication.
        spelled: writes a reason, which may quote TikTok or a name; `visible` for a terminal and a log,
            `markdown_text` where the Markdown is rendered.
    """
    entry = rehearsal.entry
    begun_so = entry.wish if entry and (entry.was_sent or entry.status == DONE) else rehearsal.wish
    opening = f"## Dry run: {format_request(begun_so)}"
    if entry and entry.status == DONE:
        return f"{opening}\n\n{format_done(entry)} A live run would do nothing."
    if entry and entry.was_sent:
        begun = (
            f"It was begun on {entry.started_at:%Y-%m-%d %H:%M} UTC. A live run looks what was made, then sends"
        )
        return f"{opening}\n\n{begun} what is missing:\n\n{_requests(rehearsal)}"
    checks = "\n".join(
        f"- {verdict.check}: {f'**refused**, {spelled(verdict.reason)}' if verdict.reason else 'fine'}"
        for verdict in rehearsal.verdicts
    )
    sent = _requests(rehearsal) if rehearsal.requests else "Nothing would be sent."
    return f"{opening}\n\n### Checks\n\n{checks}\n\n### Requests\n\n{sent}"


def _requests(rehearsal: DryRun) -> str:
    return "\n\n".join(f"```\n{escape_json(request)}\n```" for request in rehearsal.requests)


def format_request(wish: DuplicationRequest) -> str:
    """One line on what is wanted."""
    group = f"ad group {wish.ad_group_id}" if wish.ad_group_id else "a copy of its ad group"
    number = f", copy {wish.again + 1}" if wish.again else ""
    switched = "switched on" if wish.enable else "switched off"
    return f"ad {wish.ad_id} into campaign {wish.campaign_id}, in {group}{number}, {switched} (`{wish.key}`)"


def format_approval_prompt(rehearsal: DryRun) -> str:
    """Say what a person agrees to: what is made from what, where, and what it adds to the account's budgets."""
    wish, entry = rehearsal.wish, rehearsal.entry
    if entry and entry.was_sent:
        left = " and ".join(f"the {step.step.replace('_', ' ')}" for step in entry.steps if not step.object_id)
        return f"Finish {format_request(entry.wish)}, of account {wish.advertiser_id}: makes {left}."
    made = "an ad" if wish.ad_group_id else "an ad group and an ad"
    return (
        f"Duplicate {format_request(wish)}, of account {wish.advertiser_id}: makes {made}"
        f" and adds {rehearsal.amount}."
    )


def format_done(entry: LedgerEntry) -> str:
    """One sentence on a duplication that is done."""
    group = entry.made(AD_GROUP_STEP)
    made = f"ad {entry.made(AD_STEP)}" + (f" in the new ad group {group}" if group else "")
    when = f"on {entry.done_at:%Y-%m-%d %H:%M} UTC" if entry.done_at else ""
    return f"Duplication {entry.duplication_key} is done: {made} was made {when}.".replace(" .", ".")


def format_status(entry: LedgerEntry) -> str:
    """One sentence on where a duplication stands."""
    if entry.status == DONE:
        return format_done(entry)
    if entry.status == REFUSED:
        return f"Duplication {entry.duplication_key} is refused: {escape_control_characters(entry.reason or '')}."
    made = [step.step.replace("_", " ") for step in entry.steps if step.object_id]
    so_far = f"made so far: {' and '.join(made)}" if made else "nothing is known to be made yet"
    trouble = f"; {escape_control_characters(entry.reason)}" if entry.reason else ""
    return f"Duplication {entry.duplication_key} is under way or was interrupted: {so_far}{trouble}."


def entry_to_row(entry: LedgerEntry) -> dict[str, Any]:
    """A ledger entry for tables and programs; the steps as rows of their own."""
    row = {name: getattr(entry, name) for name in LedgerEntry.__slots__ if name != "steps"}
    copies = {"copy_ad_group_id": entry.made(AD_GROUP_STEP), "copy_ad_id": entry.made(AD_STEP)}
    stages = [f"{step.step.replace('_', ' ')} {_stage(step)}" for step in entry.steps]
    copies["steps_made"] = ", ".join(stages) or None
    steps = [{name: getattr(step, name) for name in type(step).__slots__} for step in entry.steps]
    return row | copies | {"standing": format_status(entry), "steps": steps}


def _stage(step: Step) -> str:
    if step.object_id:
        return "made"
    return "sent, outcome unknown" if step.sent_at else "not sent"


def dry_run_to_row(rehearsal: DryRun) -> dict[str, Any]:
    """A rehearsal for programs."""
    return {
        "duplication_key": rehearsal.wish.key,
        "live": False,
        "checks": [{"check": one.check, "reason": one.reason or None} for one in rehearsal.verdicts],
        "requests": list(rehearsal.requests),
        "entry": entry_to_row(rehearsal.entry) if rehearsal.entry else None,
    }
