"""Test that the store is correct while random partitions are read from a changing, failing world.

`SOAK_STEPS` and `SOAK_SEED` in the environment set its length and repeat it; `make soak` prints its statistics.
"""

import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import SystemRandom
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, seed
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tiktok_assets.api.errors import TikTokError
from tiktok_assets.ingest.writer import refresh_advertisers, refresh_entity, refresh_report
from tiktok_assets.sandbox.http.faults import KINDS
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.spec.entities import CAMPAIGN_ENTITIES, Entity
from tiktok_assets.spec.report_model import Report
from tiktok_assets.spec.reports import LEVEL_REPORTS, REPORTS_BY_TABLE
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets_tests.api.conftest import FAST, Host
from tiktok_assets_tests.end_to_end.expected_store import UNKNOWN_FIELD, ExpectedStore
from tiktok_assets_tests.ingest.conftest import open_reader

STEPS_PER_WORLD, WORLDS_PER_RUN = 40, 4
STEPS = int(os.environ.get("SOAK_STEPS", "100"))
SEED = int(os.environ.get("SOAK_SEED") or (SystemRandom().randrange(10**9) if "SOAK_STEPS" in os.environ else 8))

PLAN = WorldPlan(anchor=datetime(2026, 3, 2, 12, tzinfo=UTC), days=80, ads=90)
"""Months in the past, with room to advance; thirty days of ads take a second page."""

AD_DAILY = REPORTS_BY_TABLE["ad_report_daily"]
MAX_ADVANCE = timedelta(days=180)
HANG_SECONDS = 1.2
SHORT_TIMEOUTS = replace(FAST, max_attempts=3, read_timeout_seconds=1.0, connect_timeout_seconds=5.0)

WRITE_KINDS = ("cut_before", "commit_then_cut", "commit_late", "invisible")
READ_KINDS = tuple(kind for kind in KINDS if kind not in WRITE_KINDS)
PATHS = ("report/integrated/get", "campaign/get", "adgroup/get", "ad/get", "advertiser/info")
CODES = (40001, 40002, 40016, 40067, 40100, 40105, 40133, 40700, 49999, 50000, 50002, 51010, 60001)
STATUSES = (403, 404, 429, 500, 502, 503, 504)
REDIRECTS = (301, 302, 307, 308)

accounts = st.sets(st.integers(0, len("LTBE") - 1), min_size=1).map(sorted)
repetitions = st.sampled_from([1, 1, 1, 2, 3, 9, None])


class Figures:
    """Statistics of a soak."""

    def __init__(self) -> None:
        self.steps: Counter[str] = Counter()
        self.declared: Counter[str] = Counter()
        self.fired: Counter[str] = Counter()
        self.written = self.failed = self.compared = self.wrong = self.second_pages = 0

    def __str__(self) -> str:
        faults = ", ".join(f"{kind} {self.fired[kind]}/{self.declared[kind]}" for kind in KINDS)
        return (
            f"seed {SEED}; {self.steps.total()} steps: {dict(self.steps.most_common())}\n"
            f"faults fired/declared: {faults}\n"
            f"partitions written {self.written}, failed {self.failed}; second pages read {self.second_pages}\n"
            f"rows compared {self.compared}, lost, extra or different {self.wrong}"
        )


@st.composite
def faults(draw: st.DrawFn, kinds: tuple[str, ...] = READ_KINDS) -> dict[str, Any]:
    """Draw a fault of any kind: once, several times or always; with a probability; of all endpoints or one."""
    kind = draw(st.sampled_from(kinds))
    how: dict[str, Any] = {"kind": kind, "times": draw(repetitions), "after": draw(st.sampled_from([0, 0, 1, 2]))}
    how |= {"probability": draw(st.sampled_from([1.0, 1.0, 0.5, 0.2])), "stack": draw(st.booleans())}
    if path := draw(st.sampled_from([None, *PATHS[:1] * 3, *PATHS])):
        how["path"] = path
    if kind == "hang":
        how |= {"seconds": draw(st.sampled_from([0.02, HANG_SECONDS])), "times": 1}
    choices: dict[str, dict[str, st.SearchStrategy[Any]]] = {
        "code": {"code": st.sampled_from(CODES)},
        "http_status": {"status": st.sampled_from(STATUSES), "html": st.sampled_from([None, "<html></html>"])},
        "redirect": {
            "status": st.sampled_from(REDIRECTS),
            "location": st.sampled_from([None, "http://example.test/"]),
        },
        # A row missing from the only page cannot be detected, so rows are only added.
        "drift": {"shift": st.integers(1, 3)},
        "wrong_type": {"field": st.sampled_from([None, "spend", "campaign_id", "ad_id", "operation_status"])},
        "new_field": {"field": st.just(UNKNOWN_FIELD)},
    }
    return how | {name: draw(values) for name, values in choices.get(kind, {}).items()}


class Soak(RuleBasedStateMachine):
    """One world and one store, which after every step equals the ground truth of its readings."""

    figures = Figures()

    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        self.host = self.resources.enter_context(Host.run(PLAN))
        self.reader = self.resources.enter_context(open_reader(self.host, SHORT_TIMEOUTS)).reader
        folder = self.resources.enter_context(tempfile.TemporaryDirectory())
        self.expected_store = ExpectedStore(self.host, HiveStore(folder))
        self.accounts = [
            Account(one.id, one.account.currency, one.account.display_timezone)
            for one in self.host.sandbox.world.advertisers.values()
        ]
        self.names = 0

    def step(self, name: str) -> None:
        """Count a step."""
        self.figures.steps[name] += 1

    @initialize()
    def begin(self) -> None:
        """Read the accounts, as the first refresh does."""
        ids = [account.advertiser_id for account in self.accounts]
        written, _ = refresh_advertisers(self.reader, self.expected_store.store, ids)
        self.expected_store.record_accounts(ids, written)

    @rule(fault=faults())
    def inject_fault(self, fault: dict[str, Any]) -> None:
        """Inject a fault."""
        self.step("fault")
        self.host.inject_fault(**fault)
        self.figures.declared[fault["kind"]] += 1

    @precondition(lambda self: self.host.sandbox.state.faults.declared)
    @rule()
    def reset(self) -> None:
        """Remove every fault."""
        self.step("remove faults")
        self._remove_faults()

    def _remove_faults(self) -> None:
        for fault in self.host.control("GET", "faults"):
            self.figures.fired[fault["kind"]] += fault["fired"]
        self.host.control("DELETE", "faults")
        self.host.control("DELETE", "penalties")

    @precondition(lambda self: self.host.sandbox.clock.now() - PLAN.anchor < MAX_ADVANCE)
    @rule(hours=st.one_of(st.integers(1, 30), st.integers(24, 24 * 9)))
    def advance(self, hours: int) -> None:
        """Let time pass: days end, conversions rise, spend is corrected."""
        self.step("clock")
        self.host.advance(hours=hours)

    @rule(which=st.integers(0, 3), granted=st.booleans())
    def grant(self, which: int, granted: bool) -> None:
        """Revoke or grant an account."""
        self.step("grant")
        owner = self.accounts[which].advertiser_id
        self.host.control("POST", "grants", advertiser_id=owner, granted=granted)

    @rule(
        entity=st.sampled_from(CAMPAIGN_ENTITIES),
        which=st.integers(0, 2),
        one=st.integers(0, 1000),
        change=st.sampled_from(["ENABLE", "DISABLE", "DISABLE", "DELETE", "rename", "create", "create"]),
        fault=st.one_of(st.none(), st.sampled_from(WRITE_KINDS)),
    )
    def write(self, entity: Entity, which: int, one: int, change: str, fault: str | None) -> None:
        """Create, rename, switch or delete an object; the response may be lost."""
        self.step("write")
        owner, kind = self.accounts[which].advertiser_id, entity.key.removesuffix("_id")
        self.names += 1
        name = f"Named {self.names}"
        path, body = f"{kind}/status/update", dict[str, Any](advertiser_id=owner)
        if change == "create":
            path, kind = "campaign/create", "campaign"
            body |= {"objective_type": "TRAFFIC", "campaign_name": name, "budget_mode": "BUDGET_MODE_INFINITE"}
        else:
            ids = sorted(item[entity.key] for item in self.host.ground_truth(entity.table, advertiser_id=owner))
            target = ids[one % len(ids)]
            if change == "rename" and kind != "ad":
                path = f"{kind}/update"
                body |= {entity.key: target, f"{kind}_name": name}
            else:
                body |= {f"{entity.key}s": [target], "operation_status": change.replace("rename", "ENABLE")}
        if fault:
            how: dict[str, Any] = {"seconds": 0.05} if fault == "commit_late" else {}
            how = {"seconds": 86_400.0, "clock": "world"} if fault == "invisible" else how
            # First in line, so that it hits this write whatever else is declared.
            self.host.inject_fault(fault, path=path, stack=True, times=1, **how)
            self.figures.declared[fault] += 1
        self._post(path, body, hides=fault == "invisible")

    def _post(self, path: str, body: dict[str, Any], *, hides: bool) -> None:
        sandbox = self.host.sandbox
        before = {item["campaign_id"] for item in self.host.ground_truth("campaigns")}
        try:
            httpx.post(
                f"{sandbox.base_url}/open_api/v1.3/{path}/",
                json=body,
                headers={"Access-Token": sandbox.token},
                timeout=10,
            )
        except httpx.HTTPError:
            deadline = time.monotonic() + 5
            while sandbox.state._tasks and time.monotonic() < deadline:  # noqa: SLF001 - wait for a late write
                time.sleep(0.01)
        if hides:
            until = sandbox.clock.now() + timedelta(days=1)
            made = {item["campaign_id"] for item in self.host.ground_truth("campaigns")} - before
            self.expected_store.hidden |= dict.fromkeys(made, until)

    @rule(
        report=st.sampled_from((*LEVEL_REPORTS, *[AD_DAILY] * 4)),
        which=accounts,
        back=st.integers(0, 40),
        days=st.sampled_from([1, 3, 9, 35, 35]),
    )
    def read_report(self, report: Report, which: list[int], back: int, days: int) -> None:
        """Read some days of some accounts, or their lifetime."""
        self.step("report")
        now = self.host.sandbox.clock.now()
        wanted: dict[Account, list[date]] = {}
        for account in (self.accounts[index] for index in which):
            last = account.today(now) - timedelta(back)
            wanted[account] = [last - timedelta(n) for n in range(days - 1, -1, -1)]
        requested = [
            Partition(account.advertiser_id, day)
            for account, listed in wanted.items()
            for day in (listed if report.cadence == "daily" else [None])
        ]
        made = list(refresh_report(self.reader, self.expected_store.store, report, wanted))
        self._count(len(requested), self.expected_store.record_readings(report.table, requested, made))

    @rule(entity=st.sampled_from(CAMPAIGN_ENTITIES), which=accounts)
    def read_entity(self, entity: Entity, which: list[int]) -> None:
        """Read the objects of some accounts."""
        self.step("entity")
        ids = [self.accounts[index].advertiser_id for index in which]
        made = list(refresh_entity(self.reader, self.expected_store.store, entity, ids))
        self._count(
            len(ids), self.expected_store.record_readings(entity.table, [Partition(owner) for owner in ids], made)
        )

    @rule(which=accounts)
    def read_accounts(self, which: list[int]) -> None:
        """Read the accounts; if they cannot be read, they stay unchanged."""
        self.step("accounts")
        ids = [self.accounts[index].advertiser_id for index in which]
        try:
            written, read = refresh_advertisers(self.reader, self.expected_store.store, ids)
        except TikTokError:
            self._count(1, 1)
            return
        # A fault may refuse an account that is granted, which is then marked as not granted.
        self.expected_store.record_accounts([owner for owner in ids if owner not in read.refused], written)
        self._count(1, 0)

    def _count(self, requested: int, failed: int) -> None:
        self.figures.failed += failed
        self.figures.written += requested - failed

    @invariant()
    def assert_no_other_files(self) -> None:
        """Between steps each file is the one of its last successful reading, and no other exists."""
        self.expected_store.assert_no_other_files()

    def teardown(self) -> None:
        """Compare the whole store once more."""
        try:
            self._remove_faults()
            self.expected_store.assert_all_partitions()
        finally:
            requested = [json.loads(one["query"].get("page", "1")) for one in self.host.sandbox.state.requests]
            self.figures.second_pages += sum(page > 1 for page in requested)
            self.figures.compared += self.expected_store.compared
            self.figures.wrong += self.expected_store.wrong
            self.resources.close()


@pytest.fixture
def figures(capsys: pytest.CaptureFixture[str]) -> Iterator[Figures]:
    """Return the statistics, and print them at the end of the test."""
    Soak.figures = Figures()
    yield Soak.figures
    with capsys.disabled():
        print(f"\n{Soak.figures}")  # noqa: T201 - the report of a soak


@pytest.mark.slow
@pytest.mark.timeout(60 + STEPS)
def test_store_always_equals_what_was_read(figures: Figures) -> None:
    """Whatever happens between or during readings, stored partitions equal the ground truth of their reading."""
    worlds = 0
    while figures.steps.total() < STEPS:
        run_state_machine_as_test(
            seed(SEED + worlds)(Soak),
            settings=hypothesis_settings(
                max_examples=WORLDS_PER_RUN,
                stateful_step_count=STEPS_PER_WORLD,
                phases=[Phase.generate],  # a failing world is repeated with its seed; shrinking takes minutes
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        worlds += WORLDS_PER_RUN
    assert figures.wrong == 0
    assert figures.compared > figures.steps.total()
