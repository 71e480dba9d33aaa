"""What `duplicate` asks for, checked; the dry run, the live run, and where each duplication stands."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from tiktok_assets.commands.asked import asked_advertisers
from tiktok_assets.commands.problems import Problem, WrongUsage
from tiktok_assets.scaling.approvals import ENABLE_REFUSED, Approval, NotApprovedError
from tiktok_assets.scaling.duplicate import RefusedError, Rehearsal
from tiktok_assets.scaling.duplication import Entry, Wish
from tiktok_assets.scaling.leases import LeaseError
from tiktok_assets.scaling.making import UnfinishedError
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec.entities import ADS
from tiktok_assets.tables import entity_columns, schema_of


def asked_amount(text: str | None) -> Decimal | None:
    """The amount of --budget.

    Raises:
        WrongUsage: if it is none.
    """
    if text is None:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise WrongUsage(f"--budget {text!r} is no amount; write it as 50 or 49.90.") from None
    if not amount.is_finite() or amount <= 0:
        raise WrongUsage(f"--budget {text} must be more than 0.")
    return amount


def asked_id(text: str, what: str) -> str:
    """An id as the API has them.

    Raises:
        WrongUsage: if it is none.
    """
    if not (text.isascii() and text.isdecimal()):
        raise WrongUsage(f"{what} {text!r} is no id; an id is all digits.")
    return text


def asked_owner(session: Session, advertiser: str | None, ad_id: str) -> str:
    """The account of an ad: the one named, the only one, or the one whose stored ads have it.

    Raises:
        WrongUsage: if it cannot be told.
    """
    if advertiser:
        return asked_advertisers([advertiser], session.advertiser_ids)[0]
    if len(session.advertiser_ids) == 1:
        return session.advertiser_ids[0]
    stored = session.store.scan("ads", schema_of(entity_columns(ADS))).collect().to_dicts()
    owners = {str(row["advertiser_id"]) for row in stored if row["ad_id"] == ad_id}
    if len(owners) != 1:
        raise WrongUsage(f"no stored account has ad {ad_id}; name its account with --advertiser.")
    return owners.pop()


def asked_campaign(settings: Settings, campaign: str | None, advertiser_id: str) -> str:
    """The campaign of --to, else the account's scaling campaign.

    Raises:
        WrongUsage: if there is neither.
    """
    if campaign:
        return asked_id(campaign, "--to")
    if advertiser_id not in settings.scaling_campaigns:
        raise WrongUsage(
            f"name the campaign with --to, or set TIKTOK_SCALING_CAMPAIGNS={advertiser_id}:<campaign id>."
        )
    return settings.scaling_campaigns[advertiser_id]


def require_writing(settings: Settings, *, enable: bool) -> None:
    """Refuse to write where the settings only allow alerts, and to switch on where they do not allow that.

    Raises:
        Problem: saying what to set.
    """
    if settings.scaling_mode == "alert":
        raise Problem(
            "TIKTOK_SCALING_MODE=alert writes nothing to TikTok; set TIKTOK_SCALING_MODE=propose to allow --live."
        )
    if enable and settings.scaling_enable != "allow":
        raise Problem(f"{ENABLE_REFUSED}.")


def rehearse(session: Session, wish: Wish) -> Rehearsal:
    """A dry run."""
    return session.duplicator().rehearse(wish)


def carry_out(session: Session, wish: Wish, approval: Approval) -> tuple[Entry, bool]:
    """The live run: the entry as it stands now, and whether it was done already.

    Raises:
        Problem: if it was not approved, was refused or cannot be finished now.
    """
    duplicator = session.duplicator(approval=approval)
    before = duplicator.ledger.find(wish.key)
    try:
        return duplicator.carry_out(wish), bool(before and before.done_at)
    except NotApprovedError as error:
        raise Problem(f"not approved, nothing was sent: {error}.") from error
    except RefusedError as error:
        raise Problem(f"nothing more is made: {error}.") from error
    except (UnfinishedError, LeaseError) as error:
        raise Problem(f"{error} The same command goes on where this one stopped.") from error


def standing(session: Session, advertisers: Sequence[str] | None) -> list[Entry]:
    """Every duplication of the ledger, of some accounts or all, the oldest first."""
    from tiktok_assets.scaling.ledger import Ledger  # noqa: PLC0415 - opens the state

    return Ledger(session.state).entries(advertisers)
