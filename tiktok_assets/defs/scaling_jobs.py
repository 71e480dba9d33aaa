"""Define the jobs `flag_top_spender` and `duplicate_ad`."""

from decimal import Decimal, InvalidOperation

import dagster as dg
from pydantic import Field

from tiktok_assets.alerts.dagster_urls import DUPLICATE_JOB
from tiktok_assets.api.errors import TikTokError, suggest_fix
from tiktok_assets.defs.metadata import write_export
from tiktok_assets.defs.runs import SOURCE_FLAG_TAG
from tiktok_assets.defs.table_catalog import AD_DUPLICATIONS, DUPLICATION_CANDIDATES
from tiktok_assets.duplication.approvals import BY_CODE, Approval, NotApprovedError
from tiktok_assets.duplication.duplicator import RefusedError
from tiktok_assets.duplication.executor import UnfinishedError
from tiktok_assets.duplication.formatting import format_done, format_dry_run, format_request
from tiktok_assets.duplication.lease import LeaseError
from tiktok_assets.duplication.ledger import Ledger
from tiktok_assets.duplication.models import DONE, DuplicationRequest
from tiktok_assets.duplication.results import (
    build_duplications_table,
)
from tiktok_assets.escaping import escape_control_characters, escape_markdown
from tiktok_assets.session import Session
from tiktok_assets.storage.state import utc_now
from tiktok_assets.top_spenders.candidates import build_candidates_table
from tiktok_assets.top_spenders.flags import record_flag

LAUNCHER_TAGS = (
    "user",
    "dagster/sensor_name",
    "dagster/schedule_name",
    "dagster/from_ui",
    "dagster/parent_run_id",
)
"""The tags of a run that tell who launched it; whoever launches can set them."""

MAX_TAG_LENGTH = 80


class DuplicationConfig(dg.Config):
    """What to duplicate into what; a dry run that leaves everything switched off unless more is said."""

    advertiser_id: str
    ad_id: str
    campaign_id: str
    ad_group_id: str | None = None
    budget: str | None = None
    again: int = 0
    live: bool = False
    enable: bool = False
    without_emoji: bool = Field(default=False, description="Cut emoji from the ad's texts, which TikTok refuses.")
    approval: str | None = Field(default=None, repr=False, description="The alert's code, for a live run.")

    def wish(self, flag_id: str | None) -> DuplicationRequest:
        """The wish of this configuration.

        Raises:
            dagster.Failure: if a value cannot be used.
        """
        for name in ("advertiser_id", "ad_id", "campaign_id", "ad_group_id"):
            told = getattr(self, name)
            if told is not None and not (told.isascii() and told.isdecimal()):
                raise dg.Failure(f"{name} {told!r} is no id; an id is all digits", allow_retries=False)
        if self.again < 0:
            raise dg.Failure(
                f"again {self.again} is below 0; 0 asks for the first copy, 1, 2, … for another",
                allow_retries=False,
            )
        try:
            budget = None if self.budget is None else Decimal(self.budget)
        except InvalidOperation:
            raise dg.Failure(f"budget {self.budget!r} is no amount; write '50'", allow_retries=False) from None
        if budget is not None and not (budget.is_finite() and budget > 0):
            raise dg.Failure(f"budget {self.budget} must be more than 0", allow_retries=False)
        ids = (self.advertiser_id, self.ad_id, self.campaign_id, self.ad_group_id)
        return DuplicationRequest(*ids, budget, self.again, self.enable, flag_id, self.without_emoji)


@dg.op(
    name="duplicate_ad_op",  # Dagster wants other names for ops than for jobs; in the job it goes by the job's
    description="Checks, then shows each request as it would be sent; with `live: true` and `approval` sends them,"
    " once.",
)
def duplicate_ad_op(
    context: dg.OpExecutionContext, config: DuplicationConfig, tiktok: dg.ResourceParam[Session]
) -> None:
    """A dry run, or the duplication itself; either way what is known of it stands in the metadata."""
    wish = config.wish(context.run.tags.get(SOURCE_FLAG_TAG))
    duplicator = tiktok.create_duplicator(approval=_build_approval(context.run, config))
    approved = True
    try:
        if not config.live:
            if config.approval:
                context.log.warning("A dry run needs no approval code, and whoever sees this run can read it.")
            rehearsal = duplicator.dry_run(wish)
            context.log.info(format_dry_run(rehearsal))
            shown = dg.MetadataValue.md(format_dry_run(rehearsal, escape_markdown))
            context.add_output_metadata({"dry_run": shown})
            return
        context.log.info("Duplicating %s.", format_request(wish))
        before = duplicator.ledger.find(wish.key)
        entry = duplicator.duplicate(wish)
    except NotApprovedError as error:
        approved = False
        raise dg.Failure(f"not approved, nothing was sent: {error}.", allow_retries=False) from error
    except RefusedError as error:
        raise dg.Failure(f"refused, nothing more is made: {error}", allow_retries=False) from error
    except (UnfinishedError, LeaseError) as error:
        raise dg.Failure(f"{error} Launched again, it goes on where it stopped.", allow_retries=False) from error
    except TikTokError as error:
        raise dg.Failure(f"{error} {suggest_fix(error)}", allow_retries=False) from error
    finally:
        if config.live and approved:
            _export_duplications(context, tiktok, wish.advertiser_id)
    repeated = before is not None and before.status == DONE
    told = f"{format_done(entry)}{' It was done before; nothing was sent.' if repeated else ''}"
    context.log.info(told)
    context.add_output_metadata(
        {"duplication": dg.MetadataValue.md(told), "duplication_key": wish.key, "sent": not repeated}
    )


def _build_approval(run: dg.DagsterRun, config: DuplicationConfig) -> Approval:
    """Return who launched a run, and the code of its configuration."""
    tags = [
        f"{name}={escape_control_characters(run.tags[name])[:MAX_TAG_LENGTH]}"
        for name in LAUNCHER_TAGS
        if name in run.tags
    ]
    by = f"run {run.run_id}" + (f" ({', '.join(tags)})" if tags else "")
    return Approval(by, BY_CODE, config.approval) if config.approval else Approval(by)


def _export_duplications(context: dg.OpExecutionContext, tiktok: Session, advertiser_id: str) -> None:
    """Bring the account's partition of `ad_duplications` up to date."""
    rows = build_duplications_table(Ledger(tiktok.state).entries([advertiser_id]), utc_now())
    write_export(context, tiktok.store, AD_DUPLICATIONS, advertiser_id, rows)


@dg.job(
    name=DUPLICATE_JOB,
    description="Duplicates an ad into another campaign, switched off. A dry run unless `live: true`, which needs"
    " the approval code of the ad's alert.",
)
def duplicate_ad() -> None:
    """One op."""
    duplicate_ad_op.alias(DUPLICATE_JOB)()


FLAG_JOB = "flag_top_spender"


class FlagConfig(dg.Config):
    """The ad to flag; the sensor fills it in."""

    advertiser_id: str
    campaign_id: str
    ad_id: str


@dg.op(
    description="Writes the flag and its alert in one transaction, unless a guardrail holds the ad back by now."
)
def flag_ad(context: dg.OpExecutionContext, config: FlagConfig, tiktok: dg.ResourceParam[Session]) -> None:
    """Flag, say what was found, and bring the account's candidates up to date."""
    ad_key = (config.advertiser_id, config.campaign_id, config.ad_id)
    try:
        found = record_flag(tiktok.state, tiktok.store, tiktok.settings, ad_key, tiktok.now())
    except LookupError as error:
        raise dg.Failure(f"{error}; check the three ids", allow_retries=False) from error
    context.log.info(
        f"Held back: {escape_control_characters(str(found.reason))}."
        if found.holds
        else f"Flagged as {found.flag_id}."
    )
    rows = build_candidates_table(
        tiktok.state, tiktok.store, tiktok.settings, tiktok.now(), [config.advertiser_id]
    )
    write_export(context, tiktok.store, DUPLICATION_CANDIDATES, config.advertiser_id, rows)


@dg.job(name=FLAG_JOB, description="Flags one new top spender and tells of it; `new_top_spender` asks for it.")
def flag_top_spender() -> None:
    """One op."""
    flag_ad()
