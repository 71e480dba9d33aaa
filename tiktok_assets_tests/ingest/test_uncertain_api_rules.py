"""Test unclear API rules: with each variant the stored data is correct, or differs as documented."""

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
from tiktok_assets.spec.entities import ADVERTISERS, CAMPAIGN_ENTITIES, Entity
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.reports import DAILY_REPORTS, LIFETIME_REPORTS
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets.tables.schema import build_schema, entity_columns, report_schema
from tiktok_assets_tests.api.conftest import FAST, Host
from tiktok_assets_tests.ingest.conftest import (
    Rows,
    days_back,
    decode_rows,
    expected_entity,
    expected_report,
    find_ungranted_account,
    granted_accounts,
    report_rows,
)

PLAN = WorldPlan(days=80, campaigns=2, ad_groups=4, ads=10)
DAYS = days_back(2, 1)
REPORTS = (*DAILY_REPORTS, *LIFETIME_REPORTS)
REPORT_PATH = "report/integrated/get"

SETTINGS = [(name, setting) for name, others in TESTED_SETTINGS.items() for setting in others]
"""Every switch of the sandbox with each of its settings except the default; new switches are included."""


@dataclass(frozen=True)
class Difference:
    """The documented effect of a setting on a reader.

    Attributes:
        failed: tables that fail with an error, for every account.
        nulls: columns of the listed entities that are null.
        idle: whether lifetime reports have rows of zeros for objects that never delivered.
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
"""By switch and setting; all others change nothing that is stored."""

INJECTED_FAULTS: Mapping[str, dict[str, Any]] = {
    "timeout_penalties": {"kind": "code", "code": 50002, "path": REPORT_PATH},
    "blocked_query_code": {"kind": "code", "code": 50002, "path": REPORT_PATH},
}
"""The injected fault without which a switch has no effect."""


@dataclass
class Stored:
    """The result of a refresh: rows by table and account, and the tables that failed."""

    entities: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    reports: dict[tuple[str, str], Rows] = field(default_factory=dict)
    failed: dict[str, set[str]] = field(default_factory=dict)


def compared_accounts(host: Host) -> list[Account]:
    """Return the compared accounts: Los Angeles, Berlin with Smart+, and one without campaigns."""
    return [one for one in granted_accounts(host) if one.currency != "JPY"]


@pytest.fixture(scope="module")
def shared_host() -> Iterator[Host]:
    """Run Los Angeles, Tokyo, Berlin, an account without campaigns and one without grant."""
    with Host.run(PLAN) as host:
        yield host


@dataclass(frozen=True)
class Expected:
    """The expected rows by table and account; `idle` are the keys of objects that never delivered."""

    accounts: list[dict[str, Any]]
    entities: dict[tuple[str, str], list[dict[str, Any]]]
    reports: dict[tuple[str, str], Rows]
    idle: dict[tuple[str, str], set[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def expected(shared_host: Host) -> Expected:
    """Return the expected rows, which no switch changes."""
    expected = Expected([], {}, {}, {})
    for one in shared_host.ground_truth("advertisers"):
        if one.pop("granted"):
            expected.accounts.append(expected_entity(ADVERTISERS, one))
    for account in compared_accounts(shared_host):
        owner = account.advertiser_id
        for entity in CAMPAIGN_ENTITIES:
            items = shared_host.ground_truth(entity.table, advertiser_id=owner)
            expected.entities[entity.table, owner] = sorted(
                (expected_entity(entity, item) for item in items), key=lambda row: str(row[id_column(entity)])
            )
        for report in REPORTS:
            values = expected_report(shared_host, report, account, STANDARD_METRICS, DAYS)
            kind = f"{report.level.name}s"
            items = shared_host.ground_truth(kind, advertiser_id=owner) if report in LIFETIME_REPORTS else []
            expected.reports[report.table, owner] = values
            expected.idle[report.table, owner] = {(one[report.level.dimension], None) for one in items} - set(
                values
            )
    return expected


def id_column(entity: Entity) -> str:
    """Return the id column of an entity."""
    return next(column.name for column in entity.columns if column.api_name == entity.key)


@pytest.fixture
def host(shared_host: Host) -> Iterator[Host]:
    """Return the shared host without injected faults."""
    shared_host.reset()
    yield shared_host
    shared_host.reset()


def build_settings(host: Host, folder: Path, *, with_account_settings: bool) -> Settings:
    """Build settings, optionally with the time zones and currencies that TikTok's own sandbox does not return."""
    accounts = granted_accounts(host)
    values: dict[str, Any] = {
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
        **(values if with_account_settings else {}),
    )


def run_refresh(host: Host, session: Session) -> Stored:
    """Refresh all tables as in the morning, and read them back from the store."""
    stored, reader, store = Stored(), session.reader, session.store
    granted = [one.advertiser_id for one in compared_accounts(host)]
    outcomes: list[WrittenPartition | FailedPartitions] = []
    try:
        written, result = refresh_advertisers(reader, store, session.advertiser_ids)
        outcomes.append(written)
        assert set(result.refused) == {find_ungranted_account(host)}
        rows = store.scan("advertisers", build_schema(entity_columns(ADVERTISERS))).collect()
        stored.entities["advertisers", ""] = decode_rows(rows.drop("is_granted"), ADVERTISERS.columns)
    except RequestError:
        stored.failed["advertisers"] = set(granted)
    accounts, refused = load_accounts(reader, store, session.settings, granted)
    assert refused == {}
    for entity in CAMPAIGN_ENTITIES:
        outcomes += refresh_entity(reader, store, entity, granted)
    for report in REPORTS:
        outcomes += refresh_report(reader, store, report, dict.fromkeys(accounts, DAYS))
    for one in outcomes:
        if isinstance(one, FailedPartitions):
            assert isinstance(one.error, TikTokError)
            owners = {str(partition.advertiser_id) for partition in one.partitions}
            stored.failed.setdefault(one.table, set()).update(owners)
    for owner in granted:
        for entity in CAMPAIGN_ENTITIES:
            frame = store.scan(
                entity.table, build_schema(entity_columns(entity)), advertiser_ids=[owner]
            ).collect()
            stored.entities[entity.table, owner] = decode_rows(frame, entity.columns)
        for report in REPORTS:
            schema = report_schema(report, STANDARD_METRICS)
            frame = store.scan(report.table, schema, advertiser_ids=[owner]).collect()
            stored.reports[report.table, owner] = report_rows(frame, report, STANDARD_METRICS)
    return stored


def assert_stored_as_expected(expected: Expected, stored: Stored, difference: Difference) -> None:
    """Assert that every stored row is as expected, except for the documented difference."""
    all_owners = {owner for _, owner in expected.entities}
    assert stored.failed == {table: all_owners for table in difference.failed}  # noqa: C420 - each its own set
    additive_metrics = [metric.name for metric in STANDARD_METRICS if metric.is_additive]
    for (table, owner), rows in expected.entities.items():
        with_nulls = [row | dict.fromkeys(difference.nulls & row.keys()) for row in rows]
        assert stored.entities[table, owner] == ([] if table in difference.failed else with_nulls)
    for (table, owner), values in expected.reports.items():
        found = stored.reports[table, owner]
        if table in difference.failed:
            assert found == {}
            continue
        assert {key: row for key, row in found.items() if key in values} == values
        assert found.keys() - values.keys() == (expected.idle[table, owner] if difference.idle else set())
        assert {found[key][name] for key in found.keys() - values.keys() for name in additive_metrics} <= {0}
    if "advertisers" not in difference.failed:
        assert stored.entities["advertisers", ""] == sorted(
            expected.accounts, key=lambda row: row["advertiser_id"]
        )


def test_every_switch_has_settings_to_test() -> None:
    """Each switch of the sandbox has settings besides its default, and each difference is of one of them."""
    assert TESTED_SETTINGS.keys() == {one.name for one in fields(Switches)}
    assert [name for name, others in TESTED_SETTINGS.items() if not others] == []
    assert DIFFERENCES.keys() <= {(name, str(setting)) for name, setting in SETTINGS}
    assert INJECTED_FAULTS.keys() <= TESTED_SETTINGS.keys()


def test_the_default_rules(host: Host, expected: Expected, tmp_path: Path) -> None:
    """With every switch at its default, all tables are stored correctly."""
    assert any(expected.idle.values())
    with closing(Session(build_settings(host, tmp_path, with_account_settings=False), policy=FAST)) as session:
        stored = run_refresh(host, session)
    assert_stored_as_expected(expected, stored, Difference())


@pytest.mark.slow
@pytest.mark.parametrize(("switch", "setting"), SETTINGS, ids=str)
def test_each_variant_of_a_rule(
    host: Host, expected: Expected, tmp_path: Path, switch: str, setting: object
) -> None:
    """With each setting of each switch the same rows are stored, except for the documented difference."""
    host.control("POST", "switches", **{switch: setting})
    host.control("POST", "limits", **dict.fromkeys(("qps", "qpm", "path_qps", "path_qpm")))
    if switch in INJECTED_FAULTS:
        host.inject_fault(**INJECTED_FAULTS[switch])
    with closing(
        Session(build_settings(host, tmp_path, with_account_settings=switch == "tiktok_sandbox"), policy=FAST)
    ) as session:
        stored = run_refresh(host, session)
    assert_stored_as_expected(expected, stored, DIFFERENCES.get((switch, str(setting)), Difference()))


@pytest.mark.parametrize("code", [Switches().wrong_secret_code, *TESTED_SETTINGS["wrong_secret_code"]])
def test_a_wrong_secret_is_an_error_whatever_its_code(host: Host, tmp_path: Path, code: int) -> None:
    """A wrong secret lists no account and is reported with its code."""
    host.control("POST", "switches", wrong_secret_code=code)
    with (
        closing(Session(build_settings(host, tmp_path, with_account_settings=False), policy=FAST)) as session,
        pytest.raises((CredentialsError, RequestError)) as caught,
    ):
        list_advertiser_ids(session.reader, host.sandbox.app_id, "wrong")
    assert str(code) in str(caught.value)
