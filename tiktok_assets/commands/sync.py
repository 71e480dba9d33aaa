"""`sync`: the main job without a daemon, in one process, recorded as ordinary materializations."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from tiktok_assets.api.errors import QUOTA_USED_UP, RetryTomorrowError
from tiktok_assets.api.plan import Window
from tiktok_assets.commands.asked import asked_advertisers, asked_tables, asked_window, windows_by_account
from tiktok_assets.days import Account
from tiktok_assets.definitions import build_definitions
from tiktok_assets.defs.account import add_advertisers
from tiktok_assets.defs.alerting import reason_of, tell_after
from tiktok_assets.defs.automation import DERIVED, WHOLE, derived_tables, stage_tables
from tiktok_assets.defs.catalogue import RANKING
from tiktok_assets.defs.checks import CHECK_TABLES, all_subjects, only, sentence_of, step_of
from tiktok_assets.defs.chunks import Chunk, chunks_of
from tiktok_assets.defs.duplication_sensors import KEY_TAG, requests_for, unfinished_wishes
from tiktok_assets.defs.scaling import AD_TAG, FLAG_JOB, Look, look, newest_ranking
from tiktok_assets.defs.stages import Stage, chunks_of_stage, stored_order
from tiktok_assets.instance.opening import open_instance
from tiktok_assets.refresh.account_details import not_offered_in_words
from tiktok_assets.refresh.accounts import known_accounts
from tiktok_assets.scaling.links import DUPLICATE_JOB
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec.metrics import doubtful_in_words
from tiktok_assets.storage.state import utc_now

TELLING_EVENTS = {dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.STEP_FAILURE}
DAILY: Stage = "refresh_daily"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True)
class Asked:
    """What `sync` was asked for; empty means everything."""

    advertisers: Sequence[str] = ()
    first: str | None = None
    last: str | None = None
    select: str | None = None


@dataclass(slots=True)
class Synced:
    """What a `sync` did: rows by table, what it cost, one sentence for each failure and each check that warns."""

    rows: dict[str, int] = field(default_factory=dict)
    partitions: dict[str, int] = field(default_factory=dict)
    runs: int = 0
    requests: int = 0
    retries: int = 0
    megabytes: float = 0.0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    not_passed: int = 0


@dataclass(frozen=True, slots=True)
class _Run:
    job: str
    tables: Sequence[str]
    tags: Mapping[str, str]
    what: str
    config: Mapping[str, Any] = field(default_factory=dict)


class Watcher:
    """Who follows the stages of a sync; this one does not look."""

    def begin(self, stage: str, runs: int) -> None:
        """A stage of so many runs begins."""

    def advance(self) -> None:
        """One of them ended."""


NOBODY = Watcher()


def sync(
    settings: Settings,
    session: Session,
    asked: Asked,
    tell: Callable[[str], None],
    watcher: Watcher = NOBODY,
) -> Synced:
    """Refresh hierarchy, daily and lifetime reports, then what is derived from them.

    Args:
        settings: whose accounts and tables.
        session: an open one; its connection serves every run.
        asked: what to narrow it to.
        tell: takes one line of progress at a time.
        watcher: is told of each stage and run.

    Raises:
        WrongUsage: if what was asked for makes no sense; nothing was sent for it.
        TikTokError: if the accounts cannot be listed, or none is granted.
        StoreError: if the tables cannot be written.
    """
    began = time.monotonic()
    stages = {str(stage): names for stage, names in stage_tables(settings).items()}
    stages[DERIVED] = derived_tables(settings)
    every = [table for names in stages.values() for table in names]
    tables = asked_tables(asked.select, [*every, CHECK_TABLES])
    session.store.check_writable()
    advertisers = asked_advertisers(asked.advertisers, session.advertiser_ids)
    window = asked_window(asked.first, asked.last, start=settings.start_date, now=session.now())
    reads_days = any(table in tables for table in stages.get(DAILY, ()))
    days = _asked_days(session, advertisers, window, asked) if window and reads_days else None
    synced, started = Synced(), utc_now()
    with open_instance(settings) as instance:
        add_advertisers(instance, session.advertiser_ids)
        definitions = build_definitions(settings, session=session)
        if asked.select is None:
            for run in _finishing(settings, session, instance, advertisers):
                _execute(definitions, instance, run, synced, tell)
        newest = newest_ranking(instance)
        for stage, names in stages.items():
            chosen = [name for name in names if name in tables]
            # Cut only now: which days are needed depends on what the stage before has stored.
            chunks = _chunks(stage, instance, session, advertisers, days) if chosen else []
            runs = list(_runs(stage, chosen, chunks))
            watcher.begin(stage, len(runs))
            for run in runs:
                if not session.used_up or stage == DERIVED:  # it would only be refused
                    _execute(definitions, instance, run, synced, tell)
                watcher.advance()
        if RANKING in tables:
            for run in _flagging(look(instance, session, newest), tables, tell):
                _execute(definitions, instance, run, synced, tell)
        # A selection without them is about a few tables, quickly; half a refresh would only seem to be wrong.
        if CHECK_TABLES in tables and not session.used_up:
            read = [name for name in all_subjects(settings) if name in tables]
            _check(definitions, instance, [step_of(name) for name in read], synced, tell)
        if told := tell_after(settings, session.state, instance, started):
            tell(told)
    _conclude(session, synced, tell)
    synced.requests = session.total.requests
    synced.retries = session.total.retries
    synced.megabytes = round(session.total.bytes / 1e6, 2)
    synced.seconds = round(time.monotonic() - began, 2)
    return synced


def _conclude(session: Session, synced: Synced, tell: Callable[[str], None]) -> None:
    """Say once what the host does not have, and that the quota of the day is used up, in place of each refusal."""
    if doubt := doubtful_in_words(session.settings.chosen_metrics):
        synced.warnings.append(f"{doubt}.")
        tell(f"warning: {synced.warnings[-1]}")
    if session.not_offered:
        synced.warnings.append(f"{not_offered_in_words(session.not_offered)}.")
        tell(f"warning: {synced.warnings[-1]}")
    if session.used_up:
        synced.failures = [one for one in synced.failures if QUOTA_USED_UP not in one]
        synced.failures.append(_used_up_in_words(session.used_up, synced))


def _used_up_in_words(error: RetryTomorrowError, synced: Synced) -> str:
    """Say when the quota of the day is refilled, and what was stored until it was used up."""
    partitions, rows = sum(synced.partitions.values()), sum(synced.rows.values())
    stored = f"{partitions} partitions of {len(synced.partitions)} tables with {rows:,} rows are stored"
    return f"{error}. Until then {stored}; the next sync after that reads what is missing."


def _runs(stage: str, tables: Sequence[str], chunks: Sequence[Chunk]) -> Iterator[_Run]:
    for number, chunk in enumerate(chunks):
        # Tables without partitions come with the first run, or with the last where they sum up the others.
        whole = {"advertisers": 0, **dict.fromkeys(WHOLE, len(chunks) - 1)}
        chosen = [table for table in tables if whole.get(table, number) == number]
        days = f", {chunk.window}" if chunk.window else ""
        yield _Run(stage, chosen, chunk.tags, f"{len(chunk.advertiser_ids)} advertisers{days}")


def _flagging(seen: Look, tables: Sequence[str], tell: Callable[[str], None]) -> Iterator[_Run]:
    """The runs the sensor would ask for; what sums up the tables is then built again, with the flags in it."""
    for line in seen.told[1:]:
        tell(line)
    for request in seen.requests:
        yield _Run(FLAG_JOB, (), request.tags, f"ad {request.tags[AD_TAG]}", request.run_config)
    if seen.requests and (whole := [table for table in WHOLE if table in tables]):
        yield _Run(DERIVED, whole, {}, "with the flags")


def _finishing(
    settings: Settings, session: Session, instance: dg.DagsterInstance, advertisers: Sequence[str]
) -> Iterator[_Run]:
    """The runs `finish_duplications` would ask for: of what a person began live, and nothing new."""
    if settings.scaling_mode == "alert":
        return
    begun = [wish for wish in unfinished_wishes(session.state) if wish.advertiser_id in advertisers]
    for request in requests_for(instance, begun):
        yield _Run(DUPLICATE_JOB, (), request.tags, f"finishes {request.tags[KEY_TAG]}", request.run_config)


def _asked_days(
    session: Session, advertisers: Sequence[str], window: Window, asked: Asked
) -> Mapping[str, Window]:
    """Cut the days that were asked for by account; an account nobody can tell the zone of fails in its own run."""
    if asked.last:
        return dict.fromkeys(advertisers, window)
    known, _ = known_accounts(session.reader, session.store, session.settings, advertisers)
    unknown = [Account(one, "", "UTC") for one in set(advertisers) - {one.advertiser_id for one in known}]
    return windows_by_account(window, [*known, *unknown], session.now(), is_end_named=False)


def _chunks(
    stage: str,
    instance: dg.DagsterInstance,
    session: Session,
    advertisers: Sequence[str],
    asked: Mapping[str, Window] | None,
) -> list[Chunk]:
    order = stored_order(instance)
    if stage == DAILY and asked is not None:
        return chunks_of(order, asked)
    if stage == DAILY:
        needed = chunks_of_stage(DAILY, instance, session.store, session.settings, session.now())
        days = {one: chunk.window for chunk in needed for one in chunk.advertiser_ids if one in advertisers}
        return chunks_of(order, days)
    return chunks_of(order, dict.fromkeys(advertisers))


def _execute(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    run: _Run,
    synced: Synced,
    tell: Callable[[str], None],
) -> None:
    began = time.monotonic()
    result = only(definitions.resolve_job_def(run.job), run.tables).execute_in_process(
        instance=instance,
        tags=dict(run.tags),
        run_config={**QUIET, **run.config},
        raise_on_error=False,
    )
    rows = 0
    whole_told: set[str] = set()
    # The result forgets what a failed step had recorded before it failed; the instance does not.
    for entry in instance.all_logs(result.run_id, of_type=TELLING_EVENTS):
        event = entry.get_dagster_event()
        if event.is_step_materialization and event.asset_key:
            table = event.asset_key.path[-1]
            count = _rows_of(event.step_materialization_data.materialization.metadata, told=table in whole_told)
            whole_told.add(table)
            rows += count
            synced.rows[table] = synced.rows.get(table, 0) + count
            synced.partitions[table] = synced.partitions.get(table, 0) + 1
        elif event.is_step_failure:
            failure = _sentence(event)
            if dg.DagsterExecutionInterruptedError.__name__ in failure:
                raise KeyboardInterrupt  # Dagster took Ctrl-C for a failure of the step
            synced.failures.append(failure)
    for one in result.get_asset_check_evaluations():
        if not one.passed:
            synced.warnings.append(sentence_of(one))
            synced.not_passed += 1
    synced.runs += 1
    outcome = "" if result.success else ", FAILED in part"
    tell(f"{run.job}: {run.what}, {rows:,} rows in {time.monotonic() - began:.1f} s{outcome}")


def _rows_of(landed: Mapping[str, dg.MetadataValue[Any]], *, told: bool) -> int:
    """The rows of one materialization; what tells those of its whole run is counted once."""
    count = landed.get("rows") or (None if told else landed.get("rows_of_run"))
    return count.value if count and isinstance(count.value, int) else 0


def _check(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    steps: Sequence[str],
    synced: Synced,
    tell: Callable[[str], None],
) -> None:
    """Look at the tables just read. A check that finds an error fails the sync, one that warns only tells."""
    if not steps:
        return
    began = time.monotonic()
    result = definitions.resolve_job_def(CHECK_TABLES).execute_in_process(
        instance=instance, op_selection=list(steps), run_config=QUIET, raise_on_error=False
    )
    synced.failures += [_sentence(event) for event in result.all_events if event.is_step_failure]
    evaluations = result.get_asset_check_evaluations()
    for one in [one for one in evaluations if not one.passed]:
        graver = one.severity == dg.AssetCheckSeverity.ERROR
        (synced.failures if graver else synced.warnings).append(sentence_of(one))
    synced.runs += 1
    failing = synced.not_passed + sum(not one.passed for one in evaluations)
    tell(
        f"{CHECK_TABLES}: {len(evaluations)} checks of {len(steps)} tables,"
        f" {failing} not passed, in {time.monotonic() - began:.1f} s"
    )
    for warning in synced.warnings:
        tell(f"warning: {warning}")


def _sentence(event: dg.DagsterEvent) -> str:
    """What failed, and why."""
    return f"{event.step_key}: {reason_of(event)}"
