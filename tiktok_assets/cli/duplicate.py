"""Run the `duplicate` command: validate its arguments, and do a dry run, a live run or list the duplications."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from tiktok_assets.cli.arguments import select_advertisers
from tiktok_assets.cli.errors import CommandError, UsageError
from tiktok_assets.duplication.approvals import ENABLE_NOT_ALLOWED, Approval, NotApprovedError
from tiktok_assets.duplication.duplicator import DryRun, RefusedError
from tiktok_assets.duplication.executor import UnfinishedError
from tiktok_assets.duplication.lease import LeaseError
from tiktok_assets.duplication.models import DuplicationRequest, LedgerEntry
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec.entities import ADS
from tiktok_assets.tables.frames import build_schema, entity_columns


def parse_budget(text: str | None) -> Decimal | None:
    """The amount of --budget.

    Raises:
        WrongUsage: if it is none.
    """
    if text is None:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise UsageError(f"--budget {text!r} is no amount; write it as 50 or 49.90.") from None
    if not amount.is_finite() or amount <= 0:
        raise UsageError(f"--budget {text} must be more than 0.")
    return amount


def parse_id(text: str, what: str) -> str:
    """An id as the API has them.

    Raises:
        WrongUsage: if it is none.
    """
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"{what} {text!r} is no id; an id is all digits.")
    return text


def find_ad_account(session: Session, advertiser: str | None, ad_id: str) -> str:
    """The account of an ad: the one named, the only one, or the one whose stored ads have it.

    Raises:
        WrongUsage: if it cannot be told.
    """
    if advertiser:
        return select_advertisers([advertiser], session.advertiser_ids)[0]
    if len(session.advertiser_ids) == 1:
        return session.advertiser_ids[0]
    stored = session.store.scan("ads", build_schema(entity_columns(ADS))).collect().to_dicts()
    owners = {str(row["advertiser_id"]) for row in stored if row["ad_id"] == ad_id}
    if len(owners) != 1:
        raise UsageError(f"no stored account has ad {ad_id}; name its account with --advertiser.")
    return owners.pop()


def select_campaign(settings: Settings, campaign: str | None, advertiser_id: str) -> str:
    """The campaign of --to, else the account's scaling campaign.

    Raises:
        WrongUsage: if there is neither.
    """
    if campaign:
        return parse_id(campaign, "--to")
    if advertiser_id not in settings.scaling_campaigns:
        raise UsageError(
            f"name the campaign with --to, or set TIKTOK_SCALING_CAMPAIGNS={advertiser_id}:<campaign id>."
        )
    return settings.scaling_campaigns[advertiser_id]


def require_write_mode(settings: Settings, *, enable: bool) -> None:
    """Refuse to write where the settings only allow alerts, and to switch on where they do not allow that.

    Raises:
        Problem: saying what to set.
    """
    if settings.scaling_mode == "alert":
        raise CommandError(
            "TIKTOK_SCALING_MODE=alert writes nothing to TikTok; set TIKTOK_SCALING_MODE=propose to allow --live."
        )
    if enable and settings.scaling_enable != "allow":
        raise CommandError(f"{ENABLE_NOT_ALLOWED}.")


def dry_run(session: Session, wish: DuplicationRequest) -> DryRun:
    """A dry run."""
    return session.duplicator().rehearse(wish)


def execute(session: Session, wish: DuplicationRequest, approval: Approval) -> tuple[LedgerEntry, bool]:
    """The live run: the entry as it stands now, and whether it was done already.

    Raises:
        Problem: if it was not approved, was refused or cannot be finished now.
    """
    duplicator = session.duplicator(approval=approval)
    before = duplicator.ledger.find(wish.key)
    try:
        return duplicator.carry_out(wish), bool(before and before.done_at)
    except NotApprovedError as error:
        raise CommandError(f"not approved, nothing was sent: {error}.") from error
    except RefusedError as error:
        raise CommandError(f"nothing more is made: {error}.") from error
    except (UnfinishedError, LeaseError) as error:
        raise CommandError(f"{error} The same command goes on where this one stopped.") from error


def list_duplications(session: Session, advertisers: Sequence[str] | None) -> list[LedgerEntry]:
    """Every duplication of the ledger, of some accounts or all, the oldest first."""
    from tiktok_assets.duplication.ledger import Ledger  # noqa: PLC0415 - opens the state

    return Ledger(session.state).entries(advertisers)
