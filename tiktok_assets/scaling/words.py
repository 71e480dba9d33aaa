"""Duplications in words: a rehearsal and a ledger entry as Markdown, and as values for programs."""

from collections.abc import Callable
from typing import Any

from tiktok_assets.escaping import json_text, visible
from tiktok_assets.scaling.duplicate import Rehearsal
from tiktok_assets.scaling.duplication import AD_GROUP_STEP, AD_STEP, DONE, REFUSED, Entry, Step, Wish

STATUS_SHOWN = (
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


def rehearsal_in_words(rehearsal: Rehearsal, spelled: Callable[[str], str] = visible) -> str:
    """Say what a live run would do now, as Markdown: what was checked, and each request as it would be sent.

    Args:
        rehearsal: of the duplication.
        spelled: writes a reason, which may quote TikTok or a name; `visible` for a terminal and a log,
            `markdown_text` where the Markdown is rendered.
    """
    entry = rehearsal.entry
    begun_so = entry.wish if entry and (entry.was_sent or entry.status == DONE) else rehearsal.wish
    opening = f"## Dry run: {wish_in_words(begun_so)}"
    if entry and entry.status == DONE:
        return f"{opening}\n\n{done_in_words(entry)} A live run would do nothing."
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


def _requests(rehearsal: Rehearsal) -> str:
    return "\n\n".join(f"```\n{json_text(request)}\n```" for request in rehearsal.requests)


def wish_in_words(wish: Wish) -> str:
    """One line on what is wanted."""
    group = f"ad group {wish.ad_group_id}" if wish.ad_group_id else "a copy of its ad group"
    number = f", copy {wish.again + 1}" if wish.again else ""
    switched = "switched on" if wish.enable else "switched off"
    return f"ad {wish.ad_id} into campaign {wish.campaign_id}, in {group}{number}, {switched} (`{wish.key}`)"


def question_in_words(rehearsal: Rehearsal) -> str:
    """Say what a person agrees to: what is made from what, where, and what it adds to the account's budgets."""
    wish, entry = rehearsal.wish, rehearsal.entry
    if entry and entry.was_sent:
        left = " and ".join(f"the {step.step.replace('_', ' ')}" for step in entry.steps if not step.object_id)
        return f"Finish {wish_in_words(entry.wish)}, of account {wish.advertiser_id}: makes {left}."
    made = "an ad" if wish.ad_group_id else "an ad group and an ad"
    return (
        f"Duplicate {wish_in_words(wish)}, of account {wish.advertiser_id}: makes {made}"
        f" and adds {rehearsal.amount}."
    )


def done_in_words(entry: Entry) -> str:
    """One sentence on a duplication that is done."""
    group = entry.made(AD_GROUP_STEP)
    made = f"ad {entry.made(AD_STEP)}" + (f" in the new ad group {group}" if group else "")
    when = f"on {entry.done_at:%Y-%m-%d %H:%M} UTC" if entry.done_at else ""
    return f"Duplication {entry.duplication_key} is done: {made} was made {when}.".replace(" .", ".")


def status_in_words(entry: Entry) -> str:
    """One sentence on where a duplication stands."""
    if entry.status == DONE:
        return done_in_words(entry)
    if entry.status == REFUSED:
        return f"Duplication {entry.duplication_key} is refused: {visible(entry.reason or '')}."
    made = [step.step.replace("_", " ") for step in entry.steps if step.object_id]
    so_far = f"made so far: {' and '.join(made)}" if made else "nothing is known to be made yet"
    trouble = f"; {visible(entry.reason)}" if entry.reason else ""
    return f"Duplication {entry.duplication_key} is under way or was interrupted: {so_far}{trouble}."


def as_row(entry: Entry) -> dict[str, Any]:
    """A ledger entry for tables and programs; the steps as rows of their own."""
    row = {name: getattr(entry, name) for name in Entry.__slots__ if name != "steps"}
    copies = {"copy_ad_group_id": entry.made(AD_GROUP_STEP), "copy_ad_id": entry.made(AD_STEP)}
    stages = [f"{step.step.replace('_', ' ')} {_stage(step)}" for step in entry.steps]
    copies["steps_made"] = ", ".join(stages) or None
    steps = [{name: getattr(step, name) for name in type(step).__slots__} for step in entry.steps]
    return row | copies | {"standing": status_in_words(entry), "steps": steps}


def _stage(step: Step) -> str:
    if step.object_id:
        return "made"
    return "sent, outcome unknown" if step.sent_at else "not sent"


def rehearsal_as_row(rehearsal: Rehearsal) -> dict[str, Any]:
    """A rehearsal for programs."""
    return {
        "duplication_key": rehearsal.wish.key,
        "live": False,
        "checks": [{"check": one.check, "reason": one.reason or None} for one in rehearsal.verdicts],
        "requests": list(rehearsal.requests),
        "entry": as_row(rehearsal.entry) if rehearsal.entry else None,
    }
