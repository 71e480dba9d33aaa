"""Laws of rules nobody is sure of: whichever way they are, what is stored is the truth or a named difference."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pytest

from tiktok_assets.api.errors import CredentialsError, RequestError, TikTokError
from tiktok_assets.ingest.account_reader import list_advertiser_ids
from tiktok_assets.ingest.accounts import load_accounts
from tiktok_assets.ingest.partitions import FailedPartitions, WrittenPartition
from tiktok_assets.ingest.writer import refresh_advertisers, refresh_entity, refresh_report
from tiktok_assets.sandbox.http.context import TESTED_SETTINGS, Switches
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.spec.entities import ADVERTISERS, LISTED_ENTITIES, Entity
from tiktok_assets.spec.metrics import STANDARD_METRICS
from tiktok_assets.spec.reports import DAILY_REPORTS, LIFETIME_REPORTS
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets.tables.frames import build_schema, entity_columns, report_schema
from tiktok_assets_tests.api.conftest import FAST, Host
from tiktok_assets_tests.ingest.conftest import (
    Rows,
    accounts_of,
    days_back,
    lost_of,
    reported,
    shown,
    true_entity,
    true_report,
)

PLAN = WorldPlan(days=80, campaigns=2, ad_groups=4, ads=10)
DAYS = days_back(2, 1)
REPORTS = (*DAILY_REPORTS, *LIFETIME_REPORTS)
REPORT_PATH = "report/integrated/get"

SETTINGS = [(name, setting) for name, others in TESTED_SETTINGS.items() for setting in others]
"""Every switch of the sandbox at every setting but its default; a new switch is in here by itself."""


@dataclass(frozen=True)
class Difference:
    """What a setting is documented to change for who reads.

    Attributes:
        failed: tables that end in a named error, for every account.
        nulls: columns of the listed entities that are not told.
        idle: whether lifetimes have rows of zeros for what never delivered.
    """

    failed: frozenset[str] = frozenset()
    nulls: frozenset[str] = frozenset()
    idle: bool = True


DIFFERENCES: Mapping[tuple[str, str], Difference] = {
    ("zero_rows", "False"): Difference(idle=False),
    ("no_scope_for", "['adgroup/get']"): Difference(failed=frozenset({"ad_groups"})),
    ("no_scope_for", f"['{REPORT_PATH}']"): Difference(failed=frozenset(one.table for one in REPORTS)),
    ("tiktok_sandbox", "True"): Difference(
        failed=frozenset({"advertisers"}), nulls=frozenset({"secondary_status"})
    ),
}
"""By switch and setting; whatever is not here changes nothing of what is stored."""

PROVOKED: Mapping[str, dict[str, Any]] = {
    "timeout_penalties": {"kind": "code", "code": 50002, "path": REPORT_PATH},
    "blocked_query_code": {"kind": "code", "code": 50002, "path": REPORT_PATH},
}
"""The misbehaviour without which a switch would not be noticed."""


@dataclass
class Stored:
    """What a refresh left behind: rows by table and account, and the tables that failed."""

    entities: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    reports: dict[tuple[str, str], Rows] = field(default_factory=dict)
    failed: dict[str, set[str]] = field(default_factory=dict)


def read_of(host: Host) -> list[Account]:
    """The accounts whose tables are compared: Los Angeles, Berlin with Smart+, and the one without campaigns."""
    return [one for one in accounts_of(host) if one.currency != "JPY"]


@pytest.fixture(scope="module")
def shared_host() -> Iterator[Host]:
    """Los Angeles, Tokyo, Berlin, an account without campaigns and one without its grant."""
    with Host.run(PLAN) as running:
        yield running


@dataclass(frozen=True)
class Truth:
    """The world at rest, by table and account; `idle` are the keys of what never delivered."""

    accounts: list[dict[str, Any]]
    entities: dict[tuple[str, str], list[dict[str, Any]]]
    reports: dict[tuple[str, str], Rows]
    idle: dict[tuple[str, str], set[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def truth(shared_host: Host) -> Truth:
    """The truth, which no switch changes."""
    truth = Truth([], {}, {}, {})
    for one in shared_host.truth("advertisers"):
        if one.pop("granted"):
            truth.accounts.append(true_entity(ADVERTISERS, one))
    for account in read_of(shared_host):
        owner = account.advertiser_id
        for entity in LISTED_ENTITIES:
            items = shared_host.truth(entity.table, advertiser_id=owner)
            truth.entities[entity.table, owner] = sorted(
                (true_entity(entity, item) for item in items), key=lambda row: str(row[key_of(entity)])
            )
        for report in REPORTS:
            facts = true_report(shared_host, report, account, STANDARD_METRICS, DAYS)
            kind = f"{report.level.name}s"
            items = shared_host.truth(kind, advertiser_id=owner) if report in LIFETIME_REPORTS else []
            truth.reports[report.table, owner] = facts
            truth.idle[report.table, owner] = {(one[report.level.dimension], None) for one in items} - set(facts)
    return truth


def key_of(entity: Entity) -> str:
    """The column that tells one object from another."""
    return next(column.name for column in entity.columns if column.api_name == entity.key)


@pytest.fixture
def host(shared_host: Host) -> Iterator[Host]:
    """The same, well-behaved before and after."""
    shared_host.behave()
    yield shared_host
    shared_host.behave()


def settings_of(host: Host, folder: Path, *, told: bool) -> Settings:
    """A user's settings; `told`: with what TikTok's own sandbox does not tell of the accounts."""
    accounts = accounts_of(host)
    facts: dict[str, Any] = {
        "account_timezone": {one.advertiser_id: one.timezone for one in accounts},
        "account_currency": {one.advertiser_id: one.currency for one in accounts},
    }
    return load_settings(
        base_url=host.sandbox.base_url,
        access_token=host.sandbox.token,
        app_id=host.sandbox.app_id,
        app_secret=host.sandbox.secret,
        advertiser_ids=host.advertiser_ids,
        qps=1000,
        data_dir=str(folder / "data"),
        state_dir=folder / "state",
        **(facts if told else {}),
    )


def refreshed(host: Host, session: Session) -> Stored:
    """Everything read and stored as a morning does it, and read back from the store."""
    stored, reader, store = Stored(), session.reader, session.store
    granted = [one.advertiser_id for one in read_of(host)]
    outcomes: list[WrittenPartition | FailedPartitions] = []
    try:
        landed, read = refresh_advertisers(reader, store, session.advertiser_ids)
        outcomes.append(landed)
        assert set(read.refused) == {lost_of(host)}
        rows = store.scan("advertisers", build_schema(entity_columns(ADVERTISERS))).collect()
        stored.entities["advertisers", ""] = shown(rows.drop("is_granted"), ADVERTISERS.columns)
    except RequestError:
        stored.failed["advertisers"] = set(granted)
    accounts, refused = load_accounts(reader, store, session.settings, granted)
    assert refused == {}
    for entity in LISTED_ENTITIES:
        outcomes += refresh_entity(reader, store, entity, granted)
    for report in REPORTS:
        outcomes += refresh_report(reader, store, report, dict.fromkeys(accounts, DAYS))
    for one in outcomes:
        if isinstance(one, FailedPartitions):
            assert isinstance(one.error, TikTokError)
            owners = {str(partition.advertiser_id) for partition in one.partitions}
            stored.failed.setdefault(one.table, set()).update(owners)
    for owner in granted:
        for entity in LISTED_ENTITIES:
            frame = store.scan(
                entity.table, build_schema(entity_columns(entity)), advertiser_ids=[owner]
            ).collect()
            stored.entities[entity.table, owner] = shown(frame, entity.columns)
        for report in REPORTS:
            schema = report_schema(report, STANDARD_METRICS)
            frame = store.scan(report.table, schema, advertiser_ids=[owner]).collect()
            stored.reports[report.table, owner] = reported(frame, report, STANDARD_METRICS)
    return stored


def assert_the_truth(truth: Truth, stored: Stored, difference: Difference) -> None:
    """Every row of every table is the world's, but for the difference; and no row is beside."""
    everyone = {owner for _, owner in truth.entities}
    assert stored.failed == {table: everyone for table in difference.failed}  # noqa: C420 - each its own set
    added = [metric.name for metric in STANDARD_METRICS if metric.additive]
    for (table, owner), rows in truth.entities.items():
        expected = [row | dict.fromkeys(difference.nulls & row.keys()) for row in rows]
        assert stored.entities[table, owner] == ([] if table in difference.failed else expected)
    for (table, owner), facts in truth.reports.items():
        found = stored.reports[table, owner]
        if table in difference.failed:
            assert found == {}
            continue
        assert {key: row for key, row in found.items() if key in facts} == facts
        assert found.keys() - facts.keys() == (truth.idle[table, owner] if difference.idle else set())
        assert {found[key][name] for key in found.keys() - facts.keys() for name in added} <= {0}
    if "advertisers" not in difference.failed:
        assert stored.entities["advertisers", ""] == sorted(truth.accounts, key=lambda row: row["advertiser_id"])


def test_every_switch_that_is_no_yes_or_no_says_what_to_try() -> None:
    """Each switch of the sandbox has settings beside its default, and each difference is of one of them."""
    assert TESTED_SETTINGS.keys() == {one.name for one in fields(Switches)}
    assert [name for name, others in TESTED_SETTINGS.items() if not others] == []
    assert DIFFERENCES.keys() <= {(name, str(setting)) for name, setting in SETTINGS}
    assert PROVOKED.keys() <= TESTED_SETTINGS.keys()


def test_the_rules_as_we_believe_them(host: Host, truth: Truth, tmp_path: Path) -> None:
    """With every switch at its default hierarchy, days and lifetimes of all accounts are stored as they are."""
    assert any(truth.idle.values())
    with closing(Session(settings_of(host, tmp_path, told=False), policy=FAST)) as session:
        stored = refreshed(host, session)
    assert_the_truth(truth, stored, Difference())


@pytest.mark.parametrize(("switch", "setting"), SETTINGS, ids=str)
def test_a_rule_may_be_the_other_way(
    host: Host, truth: Truth, tmp_path: Path, switch: str, setting: object
) -> None:
    """At each setting of each switch the same is stored, or differs as that setting is documented to."""
    host.control("POST", "switches", **{switch: setting})
    host.control("POST", "limits", **dict.fromkeys(("qps", "qpm", "path_qps", "path_qpm")))
    if switch in PROVOKED:
        host.misbehave(**PROVOKED[switch])
    with closing(Session(settings_of(host, tmp_path, told=switch == "tiktok_sandbox"), policy=FAST)) as session:
        stored = refreshed(host, session)
    assert_the_truth(truth, stored, DIFFERENCES.get((switch, str(setting)), Difference()))


@pytest.mark.parametrize("code", [Switches().wrong_secret_code, *TESTED_SETTINGS["wrong_secret_code"]])
def test_a_wrong_secret_stops_the_listing_whatever_its_code(host: Host, tmp_path: Path, code: int) -> None:
    """Under each code it may come with, a wrong secret lists no account and is named."""
    host.control("POST", "switches", wrong_secret_code=code)
    with (
        closing(Session(settings_of(host, tmp_path, told=False), policy=FAST)) as session,
        pytest.raises((CredentialsError, RequestError)) as caught,
    ):
        list_advertiser_ids(session.reader, host.sandbox.app_id, "wrong")
    assert str(code) in str(caught.value)
