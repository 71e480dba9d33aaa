"""Answer report/integrated/get with the report type TT_SHOP: the spend of GMV Max campaigns.

Sources: mengxingxinqing/tiktok_ads, pages gmv_max_ads_reports, supported_dimensions, supported_metrics and
run_a_synchronous_report. "Created from TikTok Shop" leaves open whether campaigns of Ads Manager are included;
here they are. All delivery is in the account's country, which is our choice.
"""

from datetime import date
from itertools import product

from tiktok_assets.sandbox.http.context import Context, ResponseData
from tiktok_assets.sandbox.http.errors import bad_parameter, invalid_metrics, metrics_conflict
from tiktok_assets.sandbox.http.params import MISSING, cut_page
from tiktok_assets.sandbox.world.gmv_max import COLUMN, GmvMaxCampaign, delivery, known_days
from tiktok_assets.sandbox.world.metrics import format_decimal

DATA_LEVELS = ("AUCTION_ADVERTISER", "AUCTION_CAMPAIGN")
GROUPINGS = frozenset(
    (
        frozenset(("advertiser_id",)),
        *(
            frozenset((one, "country_code", *time))
            for one, time in product(("advertiser_id", "campaign_id"), ((), ("stat_time_day",)))
        ),
    )
)
METRICS = {"spend": "cost", "billed_cost": "net_cost"}


def tt_shop_report(context: Context) -> ResponseData:
    """Answer one page; an account without GMV Max has no rows."""
    params = context.params
    advertiser = context.advertiser(params.identifier("advertiser_id"))
    params.choice("data_level", DATA_LEVELS, DATA_LEVELS[0])
    for name in ("filtering", "query_lifetime"):
        if params.text(name) is not None:
            raise bad_parameter(name, "Not supported when report_type is TT_SHOP.")
    names = params.texts("dimensions")
    if not names:
        raise bad_parameter("dimensions", MISSING)
    if frozenset(names) not in GROUPINGS:
        raise metrics_conflict()
    metrics = params.texts("metrics") or list(METRICS)
    if wrong := [name for name in metrics if name not in {*METRICS, "campaign_name"}]:
        raise invalid_metrics(wrong)
    first, last = params.required_date("start_date"), params.required_date("end_date")
    allowed = 30 if "stat_time_day" in names else 365
    if not 0 <= (last - first).days < allowed:
        raise bad_parameter("end_date", f"The time range must be 1 to {allowed} day(s).")
    cells: dict[tuple[str, ...], dict[str, int | str]] = {}
    for campaign in (one for shop in advertiser.shops for one in shop.campaigns):
        for day, amounts in _days(context, campaign, first, last):
            values = {
                "advertiser_id": advertiser.id,
                "campaign_id": campaign.id,
                "country_code": advertiser.account.country,
                "stat_time_day": f"{day.isoformat()} 00:00:00",
            }
            cell = cells.setdefault(tuple(values[name] for name in names), {"campaign_name": campaign.name})
            for name, column in METRICS.items():
                cell[name] = int(cell.get(name, 0)) + amounts[COLUMN[column]]
    decimals = advertiser.currency.decimals
    listed = [
        {
            "dimensions": dict(zip(names, key, strict=True)),
            "metrics": {
                name: format_decimal(int(cell[name]), decimals) if name in METRICS else cell[name]
                for name in metrics
            },
        }
        for key, cell in sorted(cells.items())
    ]
    page, info = cut_page(listed, *params.page(), context.page_fault)
    return {"list": page, "page_info": info}


def _days(context: Context, campaign: GmvMaxCampaign, first: date, last: date) -> list[tuple[date, list[int]]]:
    """Return what a campaign has delivered on each day of the window."""
    hour, seed = context.facts.latest_hour(context.now), context.world.plan.seed
    found = []
    for ordinal in known_days(campaign, hour):
        day = date.fromordinal(ordinal)
        if first <= day <= last:
            parts = [delivery(seed, campaign, leaf, ordinal, hour, is_fine=False) for leaf in campaign.leaves]
            found.append((day, [sum(column) for column in zip(*parts, strict=True)]))
    return found
