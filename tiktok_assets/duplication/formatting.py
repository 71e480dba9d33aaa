"""Format dry runs and ledger entries as Markdown for people and as rows for programs."""

from collections.abc import Callable
from typing import Any

from tiktok_assets.duplication.duplicator import DryRun
from tiktok_assets.duplication.field_selection import FieldNote
from tiktok_assets.duplication.models import (
    AD_GROUP_STEP,
    AD_STEP,
    DONE,
    REFUSED,
    DuplicationRequest,
    LedgerEntry,
    Step,
)
from tiktok_assets.duplication.undo import CreatedObjectState, UndoPreview
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
    "undone_at",
)
"""The columns of `duplicate --status`."""


def format_dry_run(dry_run: DryRun, escape: Callable[[str], str] = escape_control_characters) -> str:
    """Format what a live run would do now, as Markdown: each check, and each request as it would be sent.

    Args:
        dry_run: of the duplication.
        escape: escapes a reason, which may quote TikTok or a name; `escape_control_characters` for a terminal and
            a log, `escape_markdown` where the Markdown is rendered.
    """
    entry = dry_run.entry
    request = entry.request if entry and (entry.was_sent or entry.status == DONE) else dry_run.request
    heading = f"## Dry run: {format_request(request)}"
    if entry and entry.status == DONE:
        return f"{heading}\n\n{format_done(entry)} A live run would do nothing."
    if entry and entry.was_sent:
        started = f"It was started on {entry.started_at:%Y-%m-%d %H:%M} UTC."
        advice = "A live run looks up what was created, then sends what is missing:"
        return f"{heading}\n\n{started} {advice}\n\n{_format_requests(dry_run)}"
    checks = "\n".join(
        f"- {result.check}: {f'**refused**, {escape(result.reason)}' if result.reason else 'passed'}"
        for result in dry_run.results
    )
    requests = _format_requests(dry_run) if dry_run.requests else "Nothing would be sent."
    notes = "\n".join(f"- {escape(format_field_note(note))}" for note in dry_run.field_notes)
    fields = f"### Fields that are not copied\n\n{notes}\n\n" if notes else ""
    return f"{heading}\n\n### Checks\n\n{checks}\n\n{fields}### Requests\n\n{requests}"


def format_field_note(note: FieldNote) -> str:
    """Format what becomes of a field, in one line."""
    return f"{note.name}: {note.treatment}{f', {note.reason}' if note.reason else ''}"


def _format_requests(dry_run: DryRun) -> str:
    return "\n\n".join(f"```\n{escape_json(request)}\n```" for request in dry_run.requests)


def format_request(request: DuplicationRequest) -> str:
    """Format a request in one line."""
    group = f"ad group {request.ad_group_id}" if request.ad_group_id else "a copy of its ad group"
    number = f", copy {request.again + 1}" if request.again else ""
    state = "switched on" if request.enable else "switched off"
    return f"ad {request.ad_id} into campaign {request.campaign_id}, in {group}{number}, {state} (`{request.key}`)"


def format_approval_prompt(dry_run: DryRun) -> str:
    """Format what a person approves: what is created from what, where, and what it adds to the budgets."""
    request, entry = dry_run.request, dry_run.entry
    if entry and entry.was_sent:
        missing = " and ".join(f"the {step.step.replace('_', ' ')}" for step in entry.steps if not step.object_id)
        return f"Finish {format_request(entry.request)}, of account {request.advertiser_id}: creates {missing}."
    created = "an ad" if request.ad_group_id else "an ad group and an ad"
    return (
        f"Duplicate {format_request(request)}, of account {request.advertiser_id}: creates {created}"
        f" and adds {dry_run.added_budget}."
    )


def format_undo(preview: UndoPreview) -> str:
    """Format what an undo would do with each object of a duplication, or that it is undone, as Markdown."""
    entry = preview.entry
    heading = f"## Undo: {format_request(entry.request)}, of account {entry.advertiser_id}"
    if entry.undone_at:
        return f"{heading}\n\n{format_undone(entry)}"
    lines = [f"- {_format_undo_step(one, entry.currency or '')}" for one in preview.objects]
    lost = [step for step in entry.steps if step.sent_at and not step.object_id]
    lines += [f"- {step.step.replace('_', ' ')}: was requested, and is looked up first" for step in lost]
    return f"{heading}\n\n" + ("\n".join(lines) or "Nothing was created; it is only recorded that it is undone.")


_STATUS_WORDS = {
    "ENABLE": "switched on",
    "DISABLE": "switched off",
    "DELETE": "deleted",
    "": "not listed any more",
}


def _format_undo_step(one: CreatedObjectState, currency: str) -> str:
    name = f' "{escape_control_characters(one.name)}"' if one.name else ""
    status = _STATUS_WORDS.get(one.status, one.status)
    if one.is_gone:
        action = "nothing is left to do"
    elif one.is_kept:
        action = f"kept as it is, because it has {one.other_ads} other ads"
    else:
        action = "switched off" if one.spend else "switched off and deleted"
    kind = one.step.replace("_", " ")
    return f"{kind} {one.object_id}{name}, now {status}, spend {one.spend:f} {currency}: {action}"


def format_undone(entry: LedgerEntry) -> str:
    """Format the result of an undo, in one sentence."""
    when = f"{entry.undone_at:%Y-%m-%d %H:%M} UTC" if entry.undone_at else "a time that is not recorded"
    result = escape_control_characters(entry.undo_result or "")
    return f"Duplication {entry.duplication_key} was undone on {when}: {result}."


def format_done(entry: LedgerEntry) -> str:
    """Format the result of a duplication that is done, in one sentence."""
    group = entry.created_id(AD_GROUP_STEP)
    created = f"ad {entry.created_id(AD_STEP)}" + (f" in the new ad group {group}" if group else "")
    when = f"on {entry.done_at:%Y-%m-%d %H:%M} UTC" if entry.done_at else ""
    return f"Duplication {entry.duplication_key} is done: {created} was created {when}.".replace(" .", ".")


def format_status(entry: LedgerEntry) -> str:
    """Format the status of a duplication, in one sentence."""
    if entry.undone_at:
        return format_undone(entry)
    if entry.undo_started_at:
        return (
            f"Duplication {entry.duplication_key} is being undone, or its undo was interrupted; run `tiktok-assets"
            f" duplicate --undo {entry.duplication_key} --live` again."
        )
    if entry.status == DONE:
        return format_done(entry)
    if entry.status == REFUSED:
        reason = escape_control_characters(entry.reason or "")
        return f"Duplication {entry.duplication_key} is refused: {reason}."
    created = [step.step.replace("_", " ") for step in entry.steps if step.object_id]
    progress = f"created so far: {' and '.join(created)}" if created else "nothing is known to be created yet"
    reason = f"; {escape_control_characters(entry.reason)}" if entry.reason else ""
    return f"Duplication {entry.duplication_key} is in progress or was interrupted: {progress}{reason}."


def entry_to_row(entry: LedgerEntry) -> dict[str, Any]:
    """Convert a ledger entry to a row for tables and programs, its steps to a list of rows."""
    row = {name: getattr(entry, name) for name in LedgerEntry.__slots__ if name != "steps"}
    copies = {"copy_ad_group_id": entry.created_id(AD_GROUP_STEP), "copy_ad_id": entry.created_id(AD_STEP)}
    stages = [f"{step.step.replace('_', ' ')} {_format_stage(step)}" for step in entry.steps]
    copies["steps_made"] = ", ".join(stages) or None
    steps = [{name: getattr(step, name) for name in type(step).__slots__} for step in entry.steps]
    return row | copies | {"standing": format_status(entry), "steps": steps}


def _format_stage(step: Step) -> str:
    if step.object_id:
        return "created"
    return "sent, outcome unknown" if step.sent_at else "not sent"


def dry_run_to_row(dry_run: DryRun) -> dict[str, Any]:
    """Convert a dry run to a row for programs."""
    return {
        "duplication_key": dry_run.request.key,
        "live": False,
        "checks": [{"check": result.check, "reason": result.reason or None} for result in dry_run.results],
        "fields_not_copied": [
            {"field": note.name, "treatment": note.treatment, "reason": note.reason or None}
            for note in dry_run.field_notes
        ],
        "requests": list(dry_run.requests),
        "entry": entry_to_row(dry_run.entry) if dry_run.entry else None,
    }


def undo_to_row(preview: UndoPreview) -> dict[str, Any]:
    """Convert an undo, or what it would do, to a row for programs."""
    objects = [
        {name: getattr(one, name) for name in CreatedObjectState.__slots__} | {"result": one.result}
        for one in preview.objects
    ]
    return {
        "duplication_key": preview.entry.duplication_key,
        "undone_at": preview.entry.undone_at,
        "objects": objects,
    }
