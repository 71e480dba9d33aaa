"""Answer the account and entity lists: grants, filters, field selection and pages (API notes 2, 5)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tiktok_assets.sandbox.http.context import Context, ResponseData
from tiktok_assets.sandbox.http.errors import WRONG_APP, ApiError, bad_parameter
from tiktok_assets.sandbox.http.params import MAX_PAGE_SIZE, MISSING, Params, cut_page, parse_choice
from tiktok_assets.sandbox.reads.entity_filters import parse_filtering, parse_ids
from tiktok_assets.sandbox.world.api_objects import Item, ad_group_item, ad_item, advertiser_item, campaign_item
from tiktok_assets.sandbox.world.model import AdGroup, Advertiser, Campaign, Entity
from tiktok_assets.sandbox.world.smart_plus_objects import (
    AD_CONFIGURATION_FIELDS,
    AD_FIELDS,
    AD_GROUP_FIELDS,
    CAMPAIGN_FIELDS,
    UPGRADED,
    ad_item_v2,
    smart_plus_ad_group_item,
    smart_plus_ad_item,
    smart_plus_campaign_item,
)
from tiktok_assets.sandbox.world.status import TOP_VIEW, visibility_of

NULL_FIELD = "NULL_FIELD"
MAX_TOP_VIEW_PAGE_SIZE = 100
NAME_EDITABLE = "company_name_editable"


@dataclass(frozen=True)
class EntityKind:
    """A kind of entity.

    Attributes:
        name: Its name in the filter tables.
        key: The field of its id.
        entities: Returns the entities of an account.
        item: Returns the API object of an entity at an instant.
        fields: The names that `fields` may have; None for those of the object.
        max_page_size: The largest page.
        always: Fields that are returned whatever `fields` has.
        nested: A field that is an object whose fields may be requested by name too.
    """

    name: str
    key: str
    entities: Callable[[Advertiser], Sequence[Entity]]
    item: Callable[[Any, int], Item]
    fields: frozenset[str] | None = None
    max_page_size: int = MAX_PAGE_SIZE
    always: frozenset[str] = frozenset()
    nested: str | None = None


CAMPAIGNS = EntityKind("campaign", "campaign_id", lambda advertiser: advertiser.campaigns, campaign_item)
AD_GROUPS = EntityKind("ad_group", "adgroup_id", lambda advertiser: advertiser.ad_groups, ad_group_item)
ADS = EntityKind("ad", "ad_id", lambda advertiser: advertiser.ads, ad_item)


# With the filter `ad_ids_v2` ad/get returns Upgraded Smart+ ads, without it their creatives
# (mengxingxinqing/tiktok_ads, retrieve_data_for_upgrade_smart_smart_and_manual_campaigns).
ADS_V2 = EntityKind(
    "ad",
    "ad_id_v2",
    lambda advertiser: [*(ad for ad in advertiser.ads if not ad.smart_plus_ad), *advertiser.smart_plus_ads],
    ad_item_v2,
)


def _in_smart_plus(entities: Callable[[Advertiser], Sequence[Entity]]) -> Callable[[Advertiser], Sequence[Entity]]:
    """Return the entities of Upgraded Smart+ campaigns only."""
    return lambda advertiser: [one for one in entities(advertiser) if _campaign_of(one).automation == UPGRADED]


SMART_PLUS_CAMPAIGNS = EntityKind(
    "smart_plus_campaign",
    "campaign_id",
    _in_smart_plus(lambda advertiser: advertiser.campaigns),
    smart_plus_campaign_item,
    fields=frozenset(CAMPAIGN_FIELDS),
)
SMART_PLUS_AD_GROUPS = EntityKind(
    "smart_plus_ad_group",
    "adgroup_id",
    _in_smart_plus(lambda advertiser: advertiser.ad_groups),
    smart_plus_ad_group_item,
    fields=frozenset(AD_GROUP_FIELDS),
)
SMART_PLUS_ADS = EntityKind(
    "smart_plus_ad",
    "smart_plus_ad_id",
    lambda advertiser: advertiser.smart_plus_ads,
    smart_plus_ad_item,
    fields=frozenset((*AD_FIELDS, *AD_CONFIGURATION_FIELDS)),
    max_page_size=100,  # get_upgraded_smart_ads
    always=frozenset(("advertiser_id", "smart_plus_ad_id")),
    nested="ad_configuration",
)


def granted_accounts(context: Context) -> ResponseData:
    """Answer oauth2/advertiser/get: all granted accounts on one page (API notes 2)."""
    app_id, secret = context.params.required("app_id"), context.params.required("secret")
    if context.auth.app_id_of(context.token) != app_id:  # API notes 3.3, 9 #5
        raise ApiError(40001, WRONG_APP)
    context.auth.check_app(app_id, secret, context.switches.wrong_secret_code)
    granted = [advertiser for advertiser in context.world.advertisers.values() if advertiser.granted]
    return {"list": [{"advertiser_id": one.id, "advertiser_name": one.account.name} for one in granted]}


def advertiser_info(context: Context) -> ResponseData:
    """Answer advertiser/info: at most 100 ids a request, on one page (API notes 5.3)."""
    value = context.params.json_value("advertiser_ids", list)
    if not value:
        raise bad_parameter("advertiser_ids", MISSING)
    ids = parse_ids(value, "advertiser_ids")
    sample = advertiser_item(next(iter(context.world.advertisers.values())), 0)
    selected = _requested_fields(context, frozenset(sample) | {NAME_EDITABLE})
    if (
        selected and NAME_EDITABLE in selected
    ):  # then the response has only it and the id (contract of advertiser/info)
        selected = frozenset({"advertiser_id", NAME_EDITABLE})
    if not context.switches.info_refused_whole:  # uncertain
        ids = [one for one in ids if one in context.world.advertisers and context.world.advertisers[one].granted]
    advertisers = [context.advertiser(advertiser_id) for advertiser_id in ids]
    items = [advertiser_item(one, context.now) for one in advertisers]
    return {
        "list": [_select_fields(item | {NAME_EDITABLE: True} if selected else item, selected) for item in items]
    }


def entity_list(kind: EntityKind, context: Context) -> ResponseData:
    """Answer campaign/get, adgroup/get or ad/get, ordered by id, descending (API notes 5.1)."""
    params = context.params
    advertiser_id = params.identifier("advertiser_id")
    filtering = params.json_value("filtering", dict)
    if kind is ADS and filtering and filtering.get("ad_ids_v2") is not None:
        kind = ADS_V2
    predicates = parse_filtering(filtering, kind.name)
    page, page_size = params.page(kind.max_page_size)
    _check_page_size(filtering, page_size)
    selected = _requested_fields(context, _known_fields(context, kind))
    exclude_nulls = _excludes_nulls(params)
    advertiser = context.advertiser(advertiser_id)
    pairs = _all_items(context, kind, advertiser)
    if context.hidden_ids:
        pairs = [pair for pair in pairs if pair[0][kind.key] not in context.hidden_ids]
    matching = [item for item, values in pairs if all(predicate(values) for predicate in predicates)]
    rows, info = cut_page(matching, page, page_size, context.page_fault)
    items = [_select_fields(item, selected, kind, exclude_nulls=exclude_nulls) for item in rows]
    if context.switches.tiktok_sandbox:  # API notes 5.1, 6.8
        items = [{name: value for name, value in item.items() if name != "secondary_status"} for item in items]
    return {"list": items, "page_info": info}


def _check_page_size(filtering: dict[str, Any] | None, page_size: int) -> None:
    """Raise ApiError 40002 for a page of TopView campaigns that is too large."""
    buying_types = (filtering or {}).get("buying_types") or ()
    if TOP_VIEW in buying_types and page_size > MAX_TOP_VIEW_PAGE_SIZE:
        raise bad_parameter("page_size", f"Must not exceed {MAX_TOP_VIEW_PAGE_SIZE} with buying_types {TOP_VIEW}.")


def _all_items(context: Context, kind: EntityKind, advertiser: Advertiser) -> list[tuple[Item, Item]]:
    """Return (object, values to filter by) of an account's entities, cached for the instant."""
    key = (kind.name, kind.key, advertiser.id, context.now, context.world.version)
    if key in context.cache.entries:
        return context.cache.entries[key]  # type: ignore[no-any-return]
    entities = sorted(
        (one for one in kind.entities(advertiser) if one.exists(context.now)),
        key=lambda one: int(one.id),
        reverse=True,
    )
    items = [kind.item(one, context.now) for one in entities]
    pairs = [(item, item | _filter_only_fields(one)) for item, one in zip(items, entities, strict=True)]
    return context.cache.store(key, pairs)  # type: ignore[no-any-return]


def _campaign_of(entity: Entity) -> Campaign:
    return entity if isinstance(entity, Campaign) else entity.campaign  # type: ignore[attr-defined]


def _filter_only_fields(entity: Entity) -> Item:
    """Return the fields that lists filter by but do not show."""
    campaign = _campaign_of(entity)
    fields = {
        "objective_type": campaign.objective_type,
        "sales_destination": campaign.fields.get("sales_destination"),
        "split_test_enabled": False,
        "campaign_automation_type": campaign.automation,
    }
    fields |= visibility_of(entity)
    if isinstance(entity, Campaign):
        return fields | {"creative_campaign_type": "OTHER"}
    fields |= {
        "optimization_goal": campaign.objective.optimization_goal,
        "creative_material_mode": "CUSTOM",
    }
    if isinstance(entity, AdGroup):
        is_cpc = campaign.objective.billing_event == "CPC"
        return fields | {"bid_strategy": "BID_STRATEGY_BID_CAP" if is_cpc else "BID_STRATEGY_MAX_CONVERSION"}
    return fields


def _known_fields(context: Context, kind: EntityKind) -> frozenset[str]:
    """Return the field names of the API object of a kind."""
    if kind.fields is not None:
        return kind.fields
    entities = (one for advertiser in context.world.advertisers.values() for one in kind.entities(advertiser))
    sample = next(entities, None)
    known = frozenset(kind.item(sample, 0x7FFFFFFF)) if sample else frozenset[str]()
    return known | {"budget_optimize_on"} if kind is CAMPAIGNS else known


def _requested_fields(context: Context, known: frozenset[str]) -> frozenset[str] | None:
    """Return the fields to return, or None for all."""
    requested = context.params.texts("fields")
    if requested is None:
        return None
    unknown = [name for name in requested if name not in known]
    if unknown and context.switches.strict_fields:  # uncertain: API notes 5.1, 11
        raise bad_parameter("fields", f"Invalid fields: {unknown!r}.")
    return frozenset(requested)


def _excludes_nulls(params: Params) -> bool:
    name = "exclude_field_types_in_response"
    excluded = params.texts(name) or []
    for index, value in enumerate(excluded):
        parse_choice(value, f"{name}.{index}", (NULL_FIELD,))
    return NULL_FIELD in excluded


def _select_fields(
    item: Item, selected: frozenset[str] | None, kind: EntityKind | None = None, *, exclude_nulls: bool = False
) -> Item:
    if selected is None and not exclude_nulls:
        return item
    always = kind.always if kind else frozenset()
    shown = {
        name: value
        for name, value in item.items()
        if (selected is None or name in selected or name in always) and not (exclude_nulls and value is None)
    }
    nested = kind.nested if kind else None
    if nested and selected is not None and nested not in selected and nested in item:
        inner = {name: value for name, value in item[nested].items() if name in selected}
        return shown | ({nested: inner} if inner else {})
    return shown


ENDPOINTS: dict[str, Callable[[Context], ResponseData]] = {
    "oauth2/advertiser/get": granted_accounts,
    "advertiser/info": advertiser_info,
    "campaign/get": partial(entity_list, CAMPAIGNS),
    "adgroup/get": partial(entity_list, AD_GROUPS),
    "ad/get": partial(entity_list, ADS),
    "smart_plus/campaign/get": partial(entity_list, SMART_PLUS_CAMPAIGNS),
    "smart_plus/adgroup/get": partial(entity_list, SMART_PLUS_AD_GROUPS),
    "smart_plus/ad/get": partial(entity_list, SMART_PLUS_ADS),
}
