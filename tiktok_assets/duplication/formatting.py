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
    return f"{heading}\n\n### Checks\n\n{checks}\n\n### Requests\n\n{requests}"


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


def format_done(entry: LedgerEntry) -> str:
    """Format the result of a duplication that is done, in one sentence."""
    group = entry.created_id(AD_GROUP_STEP)
    created = f"ad {entry.created_id(AD_STEP)}" + (f" in the new ad group {group}" if group else "")
    when = f"on {entry.done_at:%Y-%m-%d %H:%M} UTC" if entry.done_at else ""
    return f"Duplication {entry.duplication_key} is done: {created} was created {when}.".replace(" .", ".")


def format_status(entry: LedgerEntry) -> str:
    """Format the status of a duplication, in one sentence."""
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
        "requests": list(dry_run.requests),
        "entry": entry_to_row(dry_run.entry) if dry_run.entry else None,
    }
