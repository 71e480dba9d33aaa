"""How a live duplication of the command line is approved: by an answer, by --yes, or by an alert's code."""

import os
import socket
import sys

import typer
from sqlalchemy.engine import make_url

from tiktok_assets.commands import duplications
from tiktok_assets.commands.output import tell
from tiktok_assets.commands.problems import Problem, WrongUsage
from tiktok_assets.scaling.approvals import CODE, TERMINAL, YES, Approval
from tiktok_assets.scaling.duplication import Wish
from tiktok_assets.scaling.words import question_in_words
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings

FIX = "on a terminal it asks; elsewhere add --yes, or --code and the alert's approval code on standard input"
FIX_WHERE_SHARED = (
    "several hosts share this state (TIKTOK_STATE_URL), so --yes is not taken: answer on a terminal, or use --code"
    " with the alert's approval code on standard input"
)


def asked_approval(session: Session, wish: Wish, *, yes: bool, code: bool) -> Approval:
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
    by = f"{_user()}@{socket.gethostname()}"
    entry = session.duplicator().ledger.find(wish.key)
    if entry and entry.covers(wish):
        return Approval(by)
    on_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    if code:
        return Approval(by, CODE, _read_code(on_terminal=on_terminal))
    if yes and _is_shared(session.settings):
        raise WrongUsage(f"{FIX_WHERE_SHARED}.")
    if yes:
        return Approval(by, YES)
    if not on_terminal:
        fix = FIX_WHERE_SHARED if _is_shared(session.settings) else FIX
        raise WrongUsage(f"--live needs an approval: {fix}.")
    rehearsal = duplications.rehearse(session, wish)
    if rehearsal.refusals:
        raise Problem(f"nothing is made: {'; '.join(rehearsal.refusals)}.")
    tell(question_in_words(rehearsal))
    try:
        agreed = typer.confirm("Send it?", default=False, err=True)
    except typer.Abort:
        agreed = False
    if not agreed:
        raise Problem("not approved; nothing was sent.")
    return Approval(by, TERMINAL)


def _read_code(*, on_terminal: bool) -> str:
    if on_terminal:
        return str(typer.prompt("Approval code of the alert", hide_input=True, err=True))
    return sys.stdin.readline().strip()


def _is_shared(settings: Settings) -> bool:
    """Whether the state is a server's, which other hosts may use too."""
    return make_url(settings.state_address).get_backend_name() != "sqlite"


def _user() -> str:
    """The user this process runs as, by the system and not by the environment, which anybody can set."""
    if os.name != "posix":
        return os.getlogin()
    from pwd import getpwuid  # noqa: PLC0415 - other systems have no such module

    try:
        return getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user may have no name
        return f"user {os.getuid()}"
