"""Build the steps of a duplication from its snapshot: what is created, and where."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from tiktok_assets.api import encode_body
from tiktok_assets.duplication.models import (
    AD_GROUP_STEP,
    AD_STEP,
    DuplicationRequest,
    RecordedObject,
    build_marker,
)
from tiktok_assets.duplication.payloads import AdGroupPlacement, Payload, build_ad_group_payload, build_ad_payload
from tiktok_assets.duplication.smart_plus_payloads import build_smart_plus_ad, build_smart_plus_ad_group
from tiktok_assets.duplication.snapshot import Snapshot
from tiktok_assets.spec import BUDGET_RULES, MIN_AD_GROUP_BUDGET, TOTAL_BUDGET, format_amount

_ID_FIELDS = {
    "ad": "ad_id",
    "smart_plus_ad": "smart_plus_ad_id",
    "ad_group": "adgroup_id",
    "target_ad_group": "adgroup_id",
    "campaign": "campaign_id",
    "target_campaign": "campaign_id",
}


def build_payloads(
    request: DuplicationRequest, snapshot: Snapshot, *, placeholder: str | None
) -> Mapping[str, Payload]:
    """Build the payload of each step; `placeholder` is used as the id of an ad group to be created."""
    ad = _build_ad(request, snapshot, request.ad_group_id or placeholder)
    if not snapshot.copies_ad_group:
        return {AD_STEP: ad}
    placement = AdGroupPlacement(
        campaign_id=request.campaign_id,
        key=request.key,
        marker=build_marker(request.key),
        budget_mode=snapshot.budget_mode,
        budget=_choose_budget(snapshot),
        enable=request.enable,
        now=snapshot.now,
    )
    source = {**snapshot.copied_ad_group, "advertiser_id": request.advertiser_id}
    build = build_smart_plus_ad_group if snapshot.kind == "smart_plus" else build_ad_group_payload
    return {AD_GROUP_STEP: build(source, placement), AD_STEP: ad}


def _build_ad(request: DuplicationRequest, snapshot: Snapshot, ad_group_id: str | None) -> Payload:
    source = {**(snapshot.ad or {}), "advertiser_id": request.advertiser_id}
    marker = build_marker(request.key)
    if snapshot.kind == "smart_plus":
        return build_smart_plus_ad(
            source,
            ad_group_id,
            marker,
            snapshot.creative,
            objective=snapshot.objective,
            call_to_action_id=snapshot.call_to_action_id,
            enable=request.enable,
            without_emoji=request.without_emoji,
        )
    return build_ad_payload(
        source,
        ad_group_id,
        marker,
        snapshot.creative,
        enable=request.enable,
        without_emoji=request.without_emoji,
    )


def _choose_budget(snapshot: Snapshot) -> Decimal:
    """Choose the copy's budget; one is required even where the campaign's makes it ignored (API notes 8.2)."""
    rules = BUDGET_RULES.get(snapshot.account.currency)
    return snapshot.budget or MIN_AD_GROUP_BUDGET * (rules.ratio if rules else 1)


def list_sources(snapshot: Snapshot, taken_at: datetime) -> list[RecordedObject]:
    """List the objects that were read, to be kept with the ledger.

    Args:
        snapshot: of the duplication.
        taken_at: aware.
    """
    return [
        RecordedObject(
            f"source {role}",
            str(row[_ID_FIELDS[role]]) if row.get(_ID_FIELDS[role]) else None,
            taken_at,
            encode_body(row).decode(),
        )
        for role, row in snapshot.read_objects.items()
    ]


def format_added_budget(snapshot: Snapshot) -> str:
    """Format what is added to the account's budgets."""
    if not snapshot.copies_ad_group:
        return "no budget: the ad group exists"
    if snapshot.has_campaign_budget:
        return "no budget: the campaign uses campaign budget optimization"
    currency, budget = snapshot.account.currency, snapshot.budget_to_add
    period = "for its whole schedule" if snapshot.budget_mode == TOTAL_BUDGET else "a day"
    return f"{format_amount(budget, currency)} {currency} {period}"
