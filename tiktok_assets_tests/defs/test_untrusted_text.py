"""Laws of names and answers in Dagster: whatever an advertiser or TikTok writes is text in every message."""

from pathlib import Path

import dagster as dg
import pytest

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.defs.scaling_sensors import evaluate_rankings
from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.sandbox.http.faults import Fault
from tiktok_assets_tests.defs.conftest import Desk
from tiktok_assets_tests.hostile_names import ALL_FRAGMENTS, FRAGMENTS, control_characters_in, visible_text


def messages_of(desk: Desk, result: dg.ExecuteInProcessResult) -> list[str]:
    """Every message the run wrote to Dagster's log, with what its failures say."""
    entries = desk.instance.all_logs(result.run_id)
    told = [entry.user_message for entry in entries]
    events = [entry.get_dagster_event() for entry in entries if entry.is_dagster_event]
    told += [event.message or "" for event in events]
    failures = [event.step_failure_data for event in events if event.is_step_failure]
    return told + [one.user_failure_data.description or "" for one in failures if one.user_failure_data]


@pytest.mark.parametrize("path", ["advertiser/info", "ad/get", "report/integrated/get"])
def test_what_tiktok_says_is_text_in_every_message(desk: Desk, path: str) -> None:
    """A refusal with escape sequences and line ends is one line of the log and of the failure."""
    ids = desk.know()
    fault = Fault(kind="code", path=path, code=40002, times=None, message=ALL_FRAGMENTS)
    desk.host.sandbox.state.faults.declared.append(fault)
    stage = "refresh_lifetime" if path.startswith("report") else "refresh_accounts"
    result = desk.run_range(stage, ids)
    assert not result.success
    told = messages_of(desk, result)
    assert [one for one in told if control_characters_in(one, allowed="\n\t")] == []
    assert any(visible_text(escape_control_characters(ALL_FRAGMENTS)) in visible_text(one) for one in told)


def test_names_are_text_in_every_message_and_fact(desk: Desk) -> None:
    """A refresh of hostile names, its pictures, its flags and its checks hold no control character."""
    ids = desk.know()
    for owner in desk.host.sandbox.world.advertisers.values():
        groups = [group for campaign in owner.campaigns for group in campaign.ad_groups]
        for number, one in enumerate([*owner.campaigns, *groups, *(ad for group in groups for ad in group.ads)]):
            one.name = f"{FRAGMENTS[number % len(FRAGMENTS)]}{ALL_FRAGMENTS}"
    desk.host.sandbox.world.version += 1
    first, last = (desk.now.date().replace(day=day) for day in (2, 3))
    results = [
        desk.run_range("refresh_accounts", ids),
        desk.run_range("refresh_daily", ids, DateWindow(first, last)),
        desk.run_range("refresh_lifetime", ids),
        desk.run_range("refresh_derived", ids),
        desk.run("check_tables"),
    ]
    told = [one for result in results for one in messages_of(desk, result)]
    told += evaluate_rankings(desk.instance, desk.session, None).told
    for table in ("ads", "campaigns", "ad_report_daily", "ad_report_lifetime", "top_spenders", "account_overview"):
        facts = [facts for _, facts in desk.recorded(table)]
        told += [value for fact in facts for value in fact.values() if isinstance(value, str)]
    for result in results:
        told += [one.description or "" for one in result.get_asset_check_evaluations()]
    assert [one for one in told if control_characters_in(one, allowed="\n\t")] == []
    assert len(told) > 100


def test_after_the_quota_of_the_day_the_stages_ask_nothing_and_the_next_day_reads_on(desk: Desk) -> None:
    """A refresh under a daemon keeps what it read and sends nothing more; the next after 00:00 UTC is whole."""
    ids = desk.know()
    assert desk.run_range("refresh_accounts", ids).success
    limits = desk.host.sandbox.state.limiter.limits
    limits.qpd = 0
    result = desk.run_range("refresh_lifetime", ids)
    (said, *_) = [one for one in messages_of(desk, result) if "partitions failed" in one]
    assert "quota of requests for today is used up; TikTok refills it at 00:00 UTC, in 11 h 30 min" in said
    assert said.count("is used up") == 1

    asked = len(desk.host.requests)
    first, last = (desk.now.date().replace(day=day) for day in (2, 3))
    assert not desk.run_range("refresh_daily", ids, DateWindow(first, last)).success
    assert len(desk.host.requests) == asked
    assert set(desk.keys("ads")) == set(ids)

    (note,) = Path(desk.settings.state_dir).glob("*.pause")
    note.unlink()  # the night is over
    limits.qpd = None
    for stage in ("refresh_lifetime", "refresh_daily"):
        window = DateWindow(first, last) if stage == "refresh_daily" else None
        assert desk.run_range(stage, ids, window).success
