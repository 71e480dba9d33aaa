"""Test that text from advertisers or TikTok is escaped in every message of Dagster."""

from pathlib import Path

import dagster as dg
import pytest

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.defs.scaling_sensors import evaluate_rankings
from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.sandbox.http.faults import Fault
from tiktok_assets_tests.defs.conftest import Deployment
from tiktok_assets_tests.hostile_names import ALL_FRAGMENTS, FRAGMENTS, control_characters_in, visible_text


def get_messages(deployment: Deployment, result: dg.ExecuteInProcessResult) -> list[str]:
    """Return every log message of a run, and its failures."""
    entries = deployment.instance.all_logs(result.run_id)
    messages = [entry.user_message for entry in entries]
    events = [entry.get_dagster_event() for entry in entries if entry.is_dagster_event]
    messages += [event.message or "" for event in events]
    failures = [event.step_failure_data for event in events if event.is_step_failure]
    return messages + [one.user_failure_data.description or "" for one in failures if one.user_failure_data]


@pytest.mark.slow
@pytest.mark.parametrize("path", ["advertiser/info", "ad/get", "report/integrated/get"])
def test_tiktok_messages_are_escaped(deployment: Deployment, path: str) -> None:
    """An error message with escape sequences and line ends is one line of the log and of the failure."""
    ids = deployment.add_partitions()
    fault = Fault(kind="code", path=path, code=40002, times=None, message=ALL_FRAGMENTS)
    deployment.host.sandbox.state.faults.declared.append(fault)
    stage = "refresh_lifetime" if path.startswith("report") else "refresh_accounts"
    result = deployment.run_range(stage, ids)
    assert not result.success
    messages = get_messages(deployment, result)
    assert [one for one in messages if control_characters_in(one, allowed="\n\t")] == []
    assert any(visible_text(escape_control_characters(ALL_FRAGMENTS)) in visible_text(one) for one in messages)


@pytest.mark.slow
def test_names_are_escaped_in_messages_and_metadata(deployment: Deployment) -> None:
    """A refresh of names with control characters logs and records none, with its plots, flags and checks."""
    ids = deployment.add_partitions()
    for owner in deployment.host.sandbox.world.advertisers.values():
        groups = [group for campaign in owner.campaigns for group in campaign.ad_groups]
        for number, one in enumerate([*owner.campaigns, *groups, *(ad for group in groups for ad in group.ads)]):
            one.name = f"{FRAGMENTS[number % len(FRAGMENTS)]}{ALL_FRAGMENTS}"
    deployment.host.sandbox.world.version += 1
    first, last = (deployment.now.date().replace(day=day) for day in (2, 3))
    results = [
        deployment.run_range("refresh_accounts", ids),
        deployment.run_range("refresh_daily", ids, DateWindow(first, last)),
        deployment.run_range("refresh_lifetime", ids),
        deployment.run_range("refresh_derived", ids),
        deployment.run("check_tables"),
    ]
    messages = [one for result in results for one in get_messages(deployment, result)]
    messages += evaluate_rankings(deployment.instance, deployment.session, None).messages
    for table in ("ads", "campaigns", "ad_report_daily", "ad_report_lifetime", "top_spenders", "account_overview"):
        all_metadata = [all_metadata for _, all_metadata in deployment.materializations(table)]
        messages += [value for metadata in all_metadata for value in metadata.values() if isinstance(value, str)]
    for result in results:
        messages += [one.description or "" for one in result.get_asset_check_evaluations()]
    assert [one for one in messages if control_characters_in(one, allowed="\n\t")] == []
    assert len(messages) > 100


@pytest.mark.slow
def test_daily_quota_stops_requests_until_the_next_day(deployment: Deployment) -> None:
    """After the daily quota is used up, a refresh keeps what it read; the next day completes it."""
    ids = deployment.add_partitions()
    assert deployment.run_range("refresh_accounts", ids).success
    limits = deployment.host.sandbox.state.limiter.limits
    limits.qpd = 0
    result = deployment.run_range("refresh_lifetime", ids)
    (message, *_) = [one for one in get_messages(deployment, result) if "partitions failed" in one]
    assert "quota of requests for today is used up; TikTok refills it at 00:00 UTC, in 11 h 30 min" in message
    assert message.count("is used up") == 1

    requested = len(deployment.host.requests)
    first, last = (deployment.now.date().replace(day=day) for day in (2, 3))
    assert not deployment.run_range("refresh_daily", ids, DateWindow(first, last)).success
    assert len(deployment.host.requests) == requested
    assert set(deployment.stored_keys("ads")) == set(ids)

    (cooldown_file,) = Path(deployment.settings.state_dir).glob("*.pause")
    cooldown_file.unlink()  # as if the next day had come
    limits.qpd = None
    for stage in ("refresh_lifetime", "refresh_daily"):
        window = DateWindow(first, last) if stage == "refresh_daily" else None
        assert deployment.run_range(stage, ids, window).success
