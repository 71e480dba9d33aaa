"""Define the jobs `flag_top_spender` and `duplicate_ad`."""

from decimal import Decimal, InvalidOperation

import dagster as dg
from pydantic import Field

from tiktok_assets.alerts import DUPLICATE_JOB
from tiktok_assets.api import TikTokError, suggest_fix
from tiktok_assets.defs.metadata import write_export
from tiktok_assets.defs.names import Names
from tiktok_assets.defs.run_tags import SOURCE_FLAG_TAG
from tiktok_assets.defs.table_catalog import AD_DUPLICATIONS, DUPLICATION_CANDIDATES
from tiktok_assets.duplication import (
    BY_CODE,
    DONE,
    Approval,
    DuplicationRequest,
    LeaseError,
    Ledger,
    NotApprovedError,
    RefusedError,
    UnfinishedError,
    build_duplications_table,
    format_done,
    format_dry_run,
    format_request,
)
from tiktok_assets.escaping import escape_control_characters, escape_markdown
from tiktok_assets.settings import Settings
from tiktok_assets.storage import utc_now
from tiktok_assets.top_spenders import build_candidates_table, record_flag

LAUNCHER_TAGS = (
    "user",
    "dagster/sensor_name",
    "dagster/schedule_name",
    "dagster/from_ui",
    "dagster/parent_run_id",
)
"""The run tags that say who launched a run; the launcher can set them, so they prove nothing."""

MAX_TAG_LENGTH = 80

FLAG_JOB = "flag_top_spender"
FLAG_OP = "flag_ad"


class DuplicationConfig(dg.Config):
    """The ad to duplicate and its target campaign; by default a dry run that leaves the copy switched off."""

    advertiser_id: str
    ad_id: str
    campaign_id: str
    ad_group_id: str | None = None
    budget: str | None = None
    again: int = 0
    live: bool = False
    enable: bool = False
    without_emoji: bool = Field(
        default=False, description="Remove emoji, which TikTok refuses, from the ad's texts."
    )
    approval: str | None = Field(
        default=None, repr=False, description="The approval code of the alert, for a live run."
    )

    def build_request(self, flag_id: str | None) -> DuplicationRequest:
        """Build the duplication request of this configuration.

        Raises:
            dagster.Failure: if a value is invalid.
        """
        for name in ("advertiser_id", "ad_id", "campaign_id", "ad_group_id"):
            value = getattr(self, name)
            if value is not None and not (value.isascii() and value.isdecimal()):
                raise dg.Failure(f"{name} {value!r} is not an id; an id has digits only", allow_retries=False)
        if self.again < 0:
            raise dg.Failure(
                f"again {self.again} is below 0; use 0 for the first copy and 1, 2, … for further copies",
                allow_retries=False,
            )
        try:
            budget = None if self.budget is None else Decimal(self.budget)
        except InvalidOperation:
            raise dg.Failure(
                f"budget {self.budget!r} is not an amount; write it as '50'", allow_retries=False
            ) from None
        if budget is not None and not (budget.is_finite() and budget > 0):
            raise dg.Failure(f"budget {self.budget} must be more than 0", allow_retries=False)
        ids = (self.advertiser_id, self.ad_id, self.campaign_id, self.ad_group_id)
        return DuplicationRequest(*ids, budget, self.again, self.enable, flag_id, self.without_emoji)


def build_duplicate_job(
    settings: Settings, executor: dg.ExecutorDefinition = dg.in_process_executor
) -> dg.JobDefinition:
    """Build the job `duplicate_ad`, which runs a duplication as one op."""
    names = Names(settings)

    @dg.op(
        # An op and a job cannot share a name; in the job the op has the alias of the job.
        name=names.name("duplicate_ad_op"),
        description="Validates the duplication, then shows each request as it would be sent; with `live: true` and"
        " `approval` sends them, once.",
        required_resource_keys=names.required_resources,
    )
    def _duplicate_ad(context: dg.OpExecutionContext, config: DuplicationConfig) -> None:
        _duplicate(context, config, names)

    @dg.job(
        name=names.name(DUPLICATE_JOB),
        description="Duplicates an ad into another campaign, switched off. A dry run unless `live: true`, which"
        " needs the approval code of the ad's alert.",
        executor_def=executor,
    )
    def _duplicate_job() -> None:
        _duplicate_ad.alias(DUPLICATE_JOB)()

    return _duplicate_job


def _duplicate(context: dg.OpExecutionContext, config: DuplicationConfig, names: Names) -> None:
    """Run a dry run or the live duplication, and add the result to the output metadata."""
    tiktok = names.session(context)
    request = config.build_request(context.run.tags.get(SOURCE_FLAG_TAG))
    duplicator = tiktok.create_duplicator(approval=_build_approval(context.run, config))
    approved = True
    try:
        if not config.live:
            if config.approval:
                context.log.warning(
                    "A dry run needs no approval code; everyone who can see this run can read the code."
                )
            dry_run = duplicator.dry_run(request)
            context.log.info(format_dry_run(dry_run))
            markdown = dg.MetadataValue.md(format_dry_run(dry_run, escape_markdown))
            context.add_output_metadata({"dry_run": markdown})
            return
        context.log.info("Duplicating %s.", format_request(request))
        before = duplicator.ledger.find(request.key)
        entry = duplicator.duplicate(request)
    except NotApprovedError as error:
        approved = False
        raise dg.Failure(f"not approved, nothing was sent: {error}.", allow_retries=False) from error
    except RefusedError as error:
        raise dg.Failure(f"refused, nothing more is created: {error}", allow_retries=False) from error
    except (UnfinishedError, LeaseError) as error:
        raise dg.Failure(
            f"{error} Launch the job again to continue where it stopped.", allow_retries=False
        ) from error
    except TikTokError as error:
        raise dg.Failure(f"{error} {suggest_fix(error)}", allow_retries=False) from error
    finally:
        if config.live and approved:
            _export_duplications(context, names, request.advertiser_id)
    is_repeated = before is not None and before.status == DONE
    summary = f"{format_done(entry)}{' It was done before; nothing was sent.' if is_repeated else ''}"
    context.log.info(summary)
    context.add_output_metadata(
        {"duplication": dg.MetadataValue.md(summary), "duplication_key": request.key, "sent": not is_repeated}
    )


def _build_approval(run: dg.DagsterRun, config: DuplicationConfig) -> Approval:
    """Build the approval of a run: who launched it, and the code in its configuration."""
    tags = [
        f"{name}={escape_control_characters(run.tags[name])[:MAX_TAG_LENGTH]}"
        for name in LAUNCHER_TAGS
        if name in run.tags
    ]
    launched_by = f"run {run.run_id}" + (f" ({', '.join(tags)})" if tags else "")
    return Approval(launched_by, BY_CODE, config.approval) if config.approval else Approval(launched_by)


def _export_duplications(context: dg.OpExecutionContext, names: Names, advertiser_id: str) -> None:
    """Update the account's partition of `ad_duplications`."""
    rows = build_duplications_table(Ledger(names.session(context).state).entries([advertiser_id]), utc_now())
    write_export(context, names, AD_DUPLICATIONS, advertiser_id, rows)


class FlagConfig(dg.Config):
    """The ad to flag; the sensor fills in the ids."""

    advertiser_id: str
    campaign_id: str
    ad_id: str


def build_flag_job(
    settings: Settings, executor: dg.ExecutorDefinition = dg.in_process_executor
) -> dg.JobDefinition:
    """Build the job `flag_top_spender`, which flags an ad as one op."""
    names = Names(settings)

    @dg.op(
        name=names.name(FLAG_OP),
        description="Writes the flag and its alert in one transaction, unless a guardrail holds the ad back.",
        required_resource_keys=names.required_resources,
    )
    def _flag_ad(context: dg.OpExecutionContext, config: FlagConfig) -> None:
        _flag(context, config, names)

    @dg.job(
        name=names.name(FLAG_JOB),
        description="Flags one new top spender and queues its alert; requested by `new_top_spender`.",
        executor_def=executor,
    )
    def _flag_job() -> None:
        _flag_ad.alias(FLAG_OP)()

    return _flag_job


def _flag(context: dg.OpExecutionContext, config: FlagConfig, names: Names) -> None:
    """Flag the ad, log the result, and update the account's duplication candidates."""
    tiktok = names.session(context)
    ad_key = (config.advertiser_id, config.campaign_id, config.ad_id)
    try:
        assessment = record_flag(tiktok.state, tiktok.store, tiktok.settings, ad_key, tiktok.now())
    except LookupError as error:
        raise dg.Failure(f"{error}; check the three ids", allow_retries=False) from error
    context.log.info(
        f"Held back: {escape_control_characters(str(assessment.reason))}."
        if assessment.holds
        else f"Flagged as {assessment.flag_id}."
    )
    rows = build_candidates_table(
        tiktok.state, tiktok.store, tiktok.settings, tiktok.now(), [config.advertiser_id]
    )
    write_export(context, names, DUPLICATION_CANDIDATES, config.advertiser_id, rows)
