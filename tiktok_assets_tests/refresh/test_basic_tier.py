"""The law of a refresh: at the basic tier it runs to its end without one refusal."""

from contextlib import closing
from datetime import timedelta
from pathlib import Path

from tiktok_assets.api.plan import Window
from tiktok_assets.refresh.accounts import known_accounts
from tiktok_assets.refresh.outcome import Failed, Landed
from tiktok_assets.refresh.writing import refresh_advertisers, refresh_entity, refresh_report
from tiktok_assets.sandbox.limits import Limits
from tiktok_assets.session import Session
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.entities import HIDDEN_KINDS, LISTED_ENTITIES
from tiktok_assets.spec.reports import STANDARD_REPORTS
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.refresh.conftest import TODAY


def test_a_full_refresh_at_the_basic_tier_is_never_refused(small: Host, tmp_path: Path) -> None:
    """Every account, entity and report is read against the host's own limiter; its log holds no refusal."""
    settings = load_settings(
        base_url=small.sandbox.base_url,
        access_token=small.sandbox.token,
        app_id=small.sandbox.app_id,
        app_secret=small.sandbox.secret,
        data_dir=str(tmp_path / "data"),
        state_dir=tmp_path / "state",
    )
    limits = Limits()
    assert (settings.requests_per_second, settings.requests_per_minute) == (limits.qps, limits.qpm)
    small.sandbox.state.limiter.reset()
    small.control("POST", "limits", qps=limits.qps, qpm=limits.qpm)
    try:
        with closing(Session(settings)) as session:
            outcomes: list[Landed | Failed] = [
                refresh_advertisers(session.reader, session.store, session.advertiser_ids)[0]
            ]
            for entity in LISTED_ENTITIES:
                outcomes += refresh_entity(session.reader, session.store, entity, session.advertiser_ids)
            accounts, _ = known_accounts(session.reader, session.store, settings, session.advertiser_ids)
            days = Window(TODAY - timedelta(4), TODAY - timedelta(1)).days
            for report in STANDARD_REPORTS:
                outcomes += refresh_report(session.reader, session.store, report, dict.fromkeys(accounts, days))
    finally:
        small.control("POST", "limits", qps=None, qpm=None)
        small.sandbox.state.limiter.reset()
    assert [outcome for outcome in outcomes if isinstance(outcome, Failed)] == []
    assert {one["code"] for one in small.requests} == {0}
    assert (
        len(small.requests)
        == session.total.requests
        == 2 + len(accounts) * (len(LISTED_ENTITIES) + len(HIDDEN_KINDS) + len(STANDARD_REPORTS))
    )
