"""Run `duplicate --undo`: show what a duplication created, ask, and undo it."""

import sys

import typer

from tiktok_assets.cli.duplicate import SHARED_STATE_HINT, is_state_shared, name_approver, require_write_mode
from tiktok_assets.cli.errors import CommandError, UsageError
from tiktok_assets.cli.output import log_line
from tiktok_assets.duplication import (
    LeaseError,
    UndoPreview,
    UnfinishedError,
    UnknownDuplicationError,
    format_undo,
)
from tiktok_assets.session import Session

_NO_TERMINAL_HINT = "--live needs an approval: run it on a terminal to get a prompt, or add --yes"


def run_undo(session: Session, key: str, *, live: bool, yes: bool) -> UndoPreview:
    """Show what a duplication created, or undo it after approval; one that is undone stays so.

    Args:
        session: an open session.
        key: of the duplication.
        live: whether --live was given.
        yes: whether --yes was given.

    Raises:
        UsageError: if there is no terminal for a prompt and --yes is not given or not accepted.
        CommandError: if there is no such duplication, the user declines, or it cannot be finished now.
    """
    undoer = session.create_undoer()
    try:
        preview = undoer.preview(key)
    except UnknownDuplicationError as error:
        raise CommandError(f"{error}; `tiktok-assets duplicate --status` lists the keys.") from error
    if not live or preview.entry.undone_at:
        return preview
    require_write_mode(session.settings, enable=False)
    _require_approval(session, preview, yes=yes)
    try:
        return undoer.undo(key, name_approver())
    except (UnfinishedError, LeaseError) as error:
        raise CommandError(f"{error} Run the same command again to continue.") from error


def _require_approval(session: Session, preview: UndoPreview, *, yes: bool) -> None:
    """Ask on a terminal what --yes answers without one; an undo that was started needs no further approval."""
    if preview.entry.undo_started_at:
        return
    if yes and is_state_shared(session.settings):
        raise UsageError(f"{SHARED_STATE_HINT}.")
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{_NO_TERMINAL_HINT}.")
    log_line(format_undo(preview))
    try:
        is_approved = typer.confirm("Undo it?", default=False, err=True)
    except typer.Abort:
        is_approved = False
    if not is_approved:
        raise CommandError("not approved; nothing was changed.")
