"""Get the approval of a live duplication from a prompt, from `--yes` or from the code of an alert."""

import os
import socket
import sys

import typer
from sqlalchemy.engine import make_url

from tiktok_assets.cli import duplicate
from tiktok_assets.cli.errors import CommandError, UsageError
from tiktok_assets.cli.output import log_line
from tiktok_assets.duplication.approvals import BY_CODE, BY_TERMINAL, BY_YES_OPTION, Approval
from tiktok_assets.duplication.formatting import format_approval_prompt
from tiktok_assets.duplication.models import DuplicationRequest
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings

APPROVAL_HINT = (
    "on a terminal it asks; elsewhere add --yes, or --code and the alert's approval code on standard input"
)
SHARED_STATE_HINT = (
    "several hosts share this state (TIKTOK_STATE_URL), so --yes is not taken: answer on a terminal, or use --code"
    " with the alert's approval code on standard input"
)


def obtain_approval(session: Session, wish: DuplicationRequest, *, yes: bool, code: bool) -> Approval:
    """Ask a person, or take what was given instead; what is done or goes on as it was begun needs none.

    Args:
        session: an open one.
        wish: what would be sent.
        yes: whether --yes was given.
        code: whether --code was given: the code is read from standard input, never from the arguments, which
            every user of the machine can list.

    Raises:
        WrongUsage: if nobody can be asked and nothing was given.
        Problem: if the answer is no, or a check refuses before anybody is asked.
    """
    by = f"{_user_name()}@{socket.gethostname()}"
    entry = session.duplicator().ledger.find(wish.key)
    if entry and entry.covers(wish):
        return Approval(by)
    on_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    if code:
        return Approval(by, BY_CODE, _read_code(on_terminal=on_terminal))
    if yes and _is_shared(session.settings):
        raise UsageError(f"{SHARED_STATE_HINT}.")
    if yes:
        return Approval(by, BY_YES_OPTION)
    if not on_terminal:
        fix = SHARED_STATE_HINT if _is_shared(session.settings) else APPROVAL_HINT
        raise UsageError(f"--live needs an approval: {fix}.")
    rehearsal = duplicate.dry_run(session, wish)
    if rehearsal.refusals:
        raise CommandError(f"nothing is made: {'; '.join(rehearsal.refusals)}.")
    log_line(format_approval_prompt(rehearsal))
    try:
        agreed = typer.confirm("Send it?", default=False, err=True)
    except typer.Abort:
        agreed = False
    if not agreed:
        raise CommandError("not approved; nothing was sent.")
    return Approval(by, BY_TERMINAL)


def _read_code(*, on_terminal: bool) -> str:
    if on_terminal:
        return str(typer.prompt("Approval code of the alert", hide_input=True, err=True))
    return sys.stdin.readline().strip()


def _is_shared(settings: Settings) -> bool:
    """Whether the state is a server's, which other hosts may use too."""
    return make_url(settings.state_address).get_backend_name() != "sqlite"


def _user_name() -> str:
    """The user this process runs as, by the system and not by the environment, which anybody can set."""
    if os.name != "posix":
        return os.getlogin()
    from pwd import getpwuid  # noqa: PLC0415 - other systems have no such module

    try:
        return getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user may have no name
        return f"user {os.getuid()}"
