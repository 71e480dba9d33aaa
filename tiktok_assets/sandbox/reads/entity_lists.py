"""Answer the account and entity lists: grants, filters, field selection and pages (API notes 2, 5)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tiktok_assets.sandbox.http.context import Context
from tiktok_assets.sandbox.http.errors import WRONG_APP, ApiError, bad_parameter
from tiktok_assets.sandbox.http.params import MISSING, Params, cut_page, parse_choice
from tiktok_assets.sandbox.reads.entity_filters import parse_filtering, parse_ids
from tiktok_assets.sandbox.world.api_objects import Item, ad_group_item, ad_item, advertiser_item, campaign_item
from tiktok_assets.sandbox.world.model import AdGroup, Advertiser, Campaign, Entity
from tiktok_assets.sandbox.world.status import TOP_VIEW, visibility_of

NULL_FIELD = "NULL_FIELD"
MAX_TOP_VIEW_PAGE_SIZE = 100
NAME_EDITABLE = "company_name_editable"


@dataclass(frozen=True)
class EntityKind:
    """One kind of entity: its name in the filter tables, its members and its API object."""

    name: str
    key: str
    members: Callable[[Advertiser], Sequence[Entity]]
    item: Callable[[Any, int], Item]


CAMPAIGNS = EntityKind("campaign", "campaign_id", lambda advertiser: advertiser.campaigns, campaign_item)
AD_GROUPS = EntityKind("ad_group", "adgroup_id", lambda advertiser: advertiser.ad_groups, ad_group_item)
ADS = EntityKind("ad", "ad_id", lambda advertiser: advertiser.ads, ad_item)


def granted_accounts(context: Context) -> dict[str, Any]:
    """Answer oauth2/advertiser/get: every granted account, not paginated (dossier 2)."""
    app_id, secret = context.params.required("app_id"), context.params.required("secret")
    if context.auth.app_of(context.token) != app_id:  # dossier 3.3, 9 #5
        raise ApiError(40001, WRONG_APP)
    context.auth.check_app(app_id, secret, context.switches.wrong_secret_code)
    granted = [advertiser for advertiser in context.world.advertisers.values() if advertiser.granted]
    return {"list": [{"advertiser_id": one.id, "advertiser_name": one.account.name} for one in granted]}


def advertiser_info(context: Context) -> dict[str, Any]:
    """Answer advertiser/info: no paging, at most 100 ids a call (dossier 5.3)."""
    value = context.params.decoded("advertiser_ids", list)
    if not value:
        raise bad_parameter("advertiser_ids", MISSING)
    ids = parse_ids(value, "advertiser_ids")
    sample = advertiser_item(next(iter(context.world.advertisers.values())), 0)
    shown = _requested_fields(context, frozenset(sample) | {NAME_EDITABLE})
    if shown and NAME_EDITABLE in shown:  # then only it and the id come back (contract of advertiser/info)
        shown = frozenset({"advertiser_id", NAME_EDITABLE})
    if not context.switches.info_refused_whole:  # uncertain
        ids = [one for one in ids if one in context.world.advertisers and context.world.advertisers[one].granted]
    advertisers = [context.advertiser(advertiser_id) for advertiser_id in ids]
    items = [advertiser_item(one, context.now) for one in advertisers]
    return {"list": [_select_fields(item | {NAME_EDITABLE: True} if shown else item, shown) for item in items]}


def entity_list(level: EntityKind, context: Context) -> dict[str, Any]:
    """Answer campaign/get, adgroup/get or ad/get: by own id, descending (dossier 5.1)."""
    params = context.params
    advertiser_id = params.identifier("advertiser_id")
    filtering = params.decoded("filtering", dict)
    tests = parse_filtering(filtering, level.name)
    page, page_size = params.page()
    _check_page_size(filtering, page_size)
    shown = _requested_fields(context, _known_fields(context, level))
    no_nulls = _excludes_nulls(params)
    advertiser = context.advertiser(advertiser_id)
    everything = _all_items(context, level, advertiser)
    if context.hidden:
        everything = [pair for pair in everything if pair[0][level.key] not in context.hidden]
    found = [item for item, facets in everything if all(test(facets) for test in tests)]
    rows, info = cut_page(found, page, page_size, context.trick)
    items = [_select_fields(item, shown, no_nulls=no_nulls) for item in rows]
    if context.switches.tiktok_sandbox:  # dossier 5.1, 6.8
        items = [{name: value for name, value in item.items() if name != "secondary_status"} for item in items]
    return {"list": items, "page_info": info}


def _check_page_size(filtering: dict[str, Any] | None, page_size: int) -> None:
    """Refuse a page of TopView that is too large."""
    wanted = (filtering or {}).get("buying_types") or ()
    if TOP_VIEW in wanted and page_size > MAX_TOP_VIEW_PAGE_SIZE:
        raise bad_parameter("page_size", f"Must not exceed {MAX_TOP_VIEW_PAGE_SIZE} with buying_types {TOP_VIEW}.")


def _all_items(context: Context, level: EntityKind, advertiser: Advertiser) -> list[tuple[Item, Item]]:
    key = (level.name, advertiser.id, context.now, context.world.version)
    if key in context.cache.kept:
        return context.cache.kept[key]  # type: ignore[no-any-return]
    members = sorted(
        (one for one in level.members(advertiser) if one.exists(context.now)),
        key=lambda one: int(one.id),
        reverse=True,
    )
    items = [level.item(one, context.now) for one in members]
    pairs = [(item, item | _filter_only_fields(one)) for item, one in zip(items, members, strict=True)]
    return context.cache.keep(key, pairs)  # type: ignore[no-any-return]


def _filter_only_fields(entity: Entity) -> Item:
    """Return what can be filtered by without being in the object."""
    campaign = entity if isinstance(entity, Campaign) else entity.campaign  # type: ignore[attr-defined]
    told = {
        "objective_type": campaign.objective_type,
        "split_test_enabled": False,
        "campaign_automation_type": campaign.automation,
    }
    hidden = told | visibility_of(entity)
    goal = campaign.objective.goal
    if isinstance(entity, Campaign):
        return hidden | {"creative_campaign_type": "OTHER"}
    own = {"optimization_goal": goal, "creative_material_mode": "CUSTOM"}
    if isinstance(entity, AdGroup):
        clicks = campaign.objective.billing_event == "CPC"
        return hidden | own | {"bid_strategy": "BID_STRATEGY_BID_CAP" if clicks else "BID_STRATEGY_MAX_CONVERSION"}
    return hidden | own


def _known_fields(context: Context, level: EntityKind) -> frozenset[str]:
    members = (one for each in context.world.advertisers.values() for one in level.members(each))
    sample = next(members, None)
    known = frozenset(level.item(sample, 0x7FFFFFFF)) if sample else frozenset[str]()
    return known | {"budget_optimize_on"} if level is CAMPAIGNS else known


def _requested_fields(context: Context, known: frozenset[str]) -> frozenset[str] | None:
    wanted = context.params.texts("fields")
    if wanted is None:
        return None
    unknown = [name for name in wanted if name not in known]
    if unknown and context.switches.strict_fields:  # uncertain: dossier 5.1, 11
        raise bad_parameter("fields", f"Invalid fields: {unknown!r}.")
    return frozenset(wanted)


def _excludes_nulls(params: Params) -> bool:
    name = "exclude_field_types_in_response"
    wanted = params.texts(name) or []
    for index, value in enumerate(wanted):
        parse_choice(value, f"{name}.{index}", (NULL_FIELD,))
    return NULL_FIELD in wanted


def _select_fields(item: Item, shown: frozenset[str] | None, *, no_nulls: bool = False) -> Item:
    if shown is None and not no_nulls:
        return item
    return {
        name: value
        for name, value in item.items()
        if (shown is None or name in shown) and not (no_nulls and value is None)
    }


ENDPOINTS: dict[str, Callable[[Context], dict[str, Any]]] = {
    "oauth2/advertiser/get": granted_accounts,
    "advertiser/info": advertiser_info,
    "campaign/get": partial(entity_list, CAMPAIGNS),
    "adgroup/get": partial(entity_list, AD_GROUPS),
    "ad/get": partial(entity_list, ADS),
}
