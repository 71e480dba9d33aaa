"""Laws of the ranking as an asset: it is the ranking of what is stored, an account at a time."""

from collections import Counter
from decimal import Decimal

from tiktok_assets.scaling.ranking import top_spenders
from tiktok_assets_tests.defs.conftest import Desk


def test_the_stored_ranking_is_the_ranking_of_the_stored_reports(desk: Desk) -> None:
    """One run over all accounts stores, for each, exactly what ranking its stored lifetime reports gives."""
    ids = desk.know()
    assert desk.run_range("refresh_lifetime", ids).success
    assert desk.run_range("refresh_derived", ids, tables=["top_spenders"]).success
    assert desk.keys("top_spenders") == ids
    assert Counter(key for key, _ in desk.recorded("top_spenders")) == Counter(ids)
    expected = top_spenders(desk.table("ad_report_lifetime"), desk.table("campaign_report_lifetime"))
    assert desk.table("top_spenders").equals(expected)
    assert expected.height == 3


def test_the_leaders_are_the_worlds(desk: Desk) -> None:
    """Each campaign's leader is the ad that spent the most by the world's own account, with that spend."""
    ids = desk.know()
    assert desk.run_range("refresh_lifetime", ids).success
    assert desk.run_range("refresh_derived", ids, tables=["top_spenders"]).success
    leaders = {row["advertiser_id"]: (row["ad_id"], row["spend"]) for row in desk.table("top_spenders").to_dicts()}
    for owner in ids:
        facts = desk.host.truth("report", level="ad", advertiser_id=owner, lifetime="true")
        spends = {str(fact["id"]): Decimal(fact["metrics"]["spend"]) for fact in facts}
        if not spends:
            assert owner not in leaders
            continue
        best = min(spends, key=lambda ad: (-spends[ad], ad))
        assert leaders[owner] == (best, spends[best])


def test_ranking_one_account_leaves_the_others_alone(desk: Desk) -> None:
    """A run of one account's ranking reads and writes that account's partition only."""
    ids = desk.know()
    assert desk.run_range("refresh_lifetime", ids).success
    result = desk.run("refresh_derived", {"dagster/partition": ids[1]}, ["top_spenders"])
    assert result.success
    assert desk.keys("top_spenders") == [ids[1]]
    assert set(desk.table("top_spenders").get_column("advertiser_id")) == {ids[1]}
