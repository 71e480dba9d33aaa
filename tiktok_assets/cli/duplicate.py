"""Run the `duplicate` command: validate its arguments, get the approval, and run or list duplications."""

import os
import socket
import sys
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import typer
from sqlalchemy.engine import make_url

from tiktok_assets.cli.arguments import select_advertisers
from tiktok_assets.cli.errors import CommandError, UsageError
from tiktok_assets.cli.output import log_line
from tiktok_assets.duplication import (
    BY_CODE,
    BY_TERMINAL,
    BY_YES_OPTION,
    ENABLE_NOT_ALLOWED,
    Approval,
    DryRun,
    DuplicationRequest,
    LeaseError,
    LedgerEntry,
    NotApprovedError,
    RefusedError,
    UnfinishedError,
    format_approval_prompt,
)
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec import ADS
from tiktok_assets.tables import build_schema, entity_columns

APPROVAL_HINT = (
    "run it on a terminal to get a prompt, or add --yes, or add --code and send the alert's approval code to"
    " standard input"
)
SHARED_STATE_HINT = (
    "several hosts share this state (TIKTOK_STATE_URL), so --yes is not accepted: run it on a terminal to get a"
    " prompt, or add --code and send the alert's approval code to standard input"
)


def parse_budget(text: str | None) -> Decimal | None:
    """Parse the amount of --budget.

    Raises:
        UsageError: if it is not a positive amount.
    """
    if text is None:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise UsageError(f"--budget {text!r} is not an amount; write it as 50 or 49.90.") from None
    if not amount.is_finite() or amount <= 0:
        raise UsageError(f"--budget {text} must be more than 0.")
    return amount


def parse_id(text: str, name: str) -> str:
    """Check that a text is an id as the API writes them.

    Args:
        text: the given id.
        name: what the id is of, for the error message.

    Raises:
        UsageError: if it is not all digits.
    """
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"{name} {text!r} is not an id; an id has only digits.")
    return text


def find_ad_account(session: Session, advertiser: str | None, ad_id: str) -> str:
    """Return the account of an ad: the given one, the only granted one, or the one whose stored ads include it.

    Raises:
        UsageError: if the account is not granted, or none or several store the ad.
    """
    if advertiser:
        return select_advertisers([advertiser], session.advertiser_ids)[0]
    if len(session.advertiser_ids) == 1:
        return session.advertiser_ids[0]
    stored = session.store.scan("ads", build_schema(entity_columns(ADS))).collect().to_dicts()
    advertiser_ids = {str(row["advertiser_id"]) for row in stored if row["ad_id"] == ad_id}
    if len(advertiser_ids) != 1:
        raise UsageError(f"no stored account has ad {ad_id}; give its account with --advertiser.")
    return advertiser_ids.pop()


def select_campaign(settings: Settings, campaign: str | None, advertiser_id: str) -> str:
    """Return the campaign of --to, or the scaling campaign of the account.

    Raises:
        UsageError: if there is neither.
    """
    if campaign:
        return parse_id(campaign, "--to")
    if advertiser_id not in settings.scaling_campaigns:
        raise UsageError(
            f"choose the campaign with --to, or set TIKTOK_SCALING_CAMPAIGNS={advertiser_id}:<campaign id>."
        )
    return settings.scaling_campaigns[advertiser_id]


def require_write_mode(settings: Settings, *, enable: bool) -> None:
    """Check that the settings allow writing to TikTok, and enabling new ads if requested.

    Raises:
        CommandError: if they do not.
    """
    if settings.scaling_mode == "alert":
        raise CommandError(
            "TIKTOK_SCALING_MODE=alert writes nothing to TikTok; set TIKTOK_SCALING_MODE=propose to allow --live."
        )
    if enable and settings.scaling_enable != "allow":
        raise CommandError(f"{ENABLE_NOT_ALLOWED}.")


def obtain_approval(session: Session, request: DuplicationRequest, *, yes: bool, code: bool) -> Approval:
    """Return the approval of a live run: from --yes, from an approval code, or from a prompt on the terminal.

    A duplication that is done, or that continues with the approved terms, needs no further approval.

    Args:
        session: an open session.
        request: the duplication to approve.
        yes: whether --yes was given.
        code: whether --code was given. The code is read from standard input, because every user of the machine can
            list the arguments of processes.

    Raises:
        UsageError: if there is no terminal for a prompt and neither option is given.
        CommandError: if the user declines, or a check refuses the duplication before the prompt.
    """
    approver = name_approver()
    entry = session.create_duplicator().ledger.find(request.key)
    if entry and entry.is_approved_for(request):
        return Approval(approver)
    on_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    if code:
        return Approval(approver, BY_CODE, _read_code(on_terminal=on_terminal))
    if yes and is_state_shared(session.settings):
        raise UsageError(f"{SHARED_STATE_HINT}.")
    if yes:
        return Approval(approver, BY_YES_OPTION)
    if not on_terminal:
        hint = SHARED_STATE_HINT if is_state_shared(session.settings) else APPROVAL_HINT
        raise UsageError(f"--live needs an approval: {hint}.")
    checked = dry_run(session, request)
    if checked.refusals:
        raise CommandError(f"nothing is created: {'; '.join(checked.refusals)}.")
    log_line(format_approval_prompt(checked))
    try:
        is_approved = typer.confirm("Send it?", default=False, err=True)
    except typer.Abort:
        is_approved = False
    if not is_approved:
        raise CommandError("not approved; nothing was sent.")
    return Approval(approver, BY_TERMINAL)


def _read_code(*, on_terminal: bool) -> str:
    if on_terminal:
        return str(typer.prompt("Approval code of the alert", hide_input=True, err=True))
    return sys.stdin.readline().strip()


def name_approver() -> str:
    """Return who runs this process, as recorded in the ledger."""
    return f"{_user_name()}@{socket.gethostname()}"


def is_state_shared(settings: Settings) -> bool:
    """Return whether the state is on a database server, which other hosts may use too."""
    return make_url(settings.state_database_url).get_backend_name() != "sqlite"


def _user_name() -> str:
    """Return the user of this process from the system, because environment variables can be set to any value."""
    if os.name != "posix":
        return os.getlogin()
    from pwd import getpwuid  # noqa: PLC0415 - missing on other systems

    try:
        return getpwuid(os.getuid()).pw_name
    except KeyError:  # the user of a container may have no name
        return f"user {os.getuid()}"


def dry_run(session: Session, request: DuplicationRequest) -> DryRun:
    """Check a duplication and build its requests without sending them."""
    return session.create_duplicator().dry_run(request)


def execute(session: Session, request: DuplicationRequest, approval: Approval) -> tuple[LedgerEntry, bool]:
    """Run an approved duplication; return its ledger entry and whether it was done already.

    Raises:
        CommandError: if it was not approved, was refused or cannot be finished now.
    """
    duplicator = session.create_duplicator(approval=approval)
    before = duplicator.ledger.find(request.key)
    try:
        return duplicator.duplicate(request), bool(before and before.done_at)
    except NotApprovedError as error:
        raise CommandError(f"not approved, nothing was sent: {error}.") from error
    except RefusedError as error:
        raise CommandError(f"nothing further is created: {error}.") from error
    except (UnfinishedError, LeaseError) as error:
        raise CommandError(f"{error} Run the same command again to continue.") from error


def list_duplications(session: Session, advertisers: Sequence[str] | None) -> list[LedgerEntry]:
    """Return all duplications of the ledger, for some accounts or for all, oldest first."""
    from tiktok_assets.duplication import Ledger  # noqa: PLC0415 - opens the state

    return Ledger(session.state).entries(advertisers)
