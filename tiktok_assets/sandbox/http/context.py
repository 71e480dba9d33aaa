"""The context an endpoint runs in: the world, the clock's instant, the request and the switches."""

from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any

from tiktok_assets.sandbox.http.access import Auth
from tiktok_assets.sandbox.http.errors import ApiError
from tiktok_assets.sandbox.http.params import NO_PAGE_FAULT, PageFault, Params
from tiktok_assets.sandbox.world.facts import Facts
from tiktok_assets.sandbox.world.model import Advertiser, World


def _switch(default: Any, *others: Any) -> Any:  # noqa: ANN401  # as dataclasses.field
    return field(default=default, metadata={"tried": others})


@dataclass(kw_only=True)
class Switches:
    """Rules the dossier is not sure of, or that tests want smaller.

    Attributes:
        strict_fields: Refuse unknown names in `fields` (dossier 5.1, uncertain).
        max_report_ads: The ads a report considers, newest first (dossier 6.3).
        zero_rows: Entities without data appear with zeros where there is no time dimension (dossier 6.5).
        slash_redirect: A path without its last slash is a 307 to the one with it (dossier 1.1, uncertain).
        old_lifetime: v1.3 reports honour v1.2's `lifetime` too (seen live in 2023; dossier 1.4 has it ignored).
        unique_campaign_names: Without a request_id a name in use is refused (dossier 8.5, uncertain).
        idempotency_seconds: How long a request_id is remembered, by the wall clock (dossier 8.5).
        read_only_refused: Keys that only answers have are refused in creates, not ignored (dossier 8.4).
        placeholders_allowed: 0 bids, "" links, UNSET and the like pass (dossier 8.4 has them refused).
        patch_refuses_others: A patch_update with keys it does not allow is refused; otherwise they are ignored
            (dossier 8.3 says "allows only"; TikTok's own SDK always sends some of the others).
        status_ids_as_numbers: Status updates answer ids as numbers (dossier 0.1 #12).
        optimistic_lock: Overlapping writes on one campaign or ad group are 40202 (dossier 8.5).
        review_seconds: How long a new or changed ad is in review, by the world's clock.
        no_scope_for: Paths the token has no scope for; "writes" for all of them (dossier 2.1).
        withdrawn_metrics_named: Whether such a refusal names them, or is the one of metrics that do not go with
            the dimensions, which names none.
        withdrawn_metrics: Metrics that are refused as if they had never been (dossier 9 #3).
        punished: Accounts that are punished: they may have no active ad group (MX
            get_the_dynamic_quota_on_active_ad_groups).
        bad_code_code: The code for an auth_code that is wrong, used or too old (AE errors/: each of them may be).
        wrong_secret_code: The code for a wrong app or secret (dossier 2 does not say).
        timeout_penalties: Time-outs slow and block report queries (dossier 4.3).
        blocked_query_code: The code of a blocked query (dossier 4.3 does not say).
        info_refused_whole: One id that is not granted fails advertiser/info; otherwise it is left out (dossier 5.3
            says neither).
        tiktok_sandbox: Behave as TikTok's own sandbox (dossier 1.1, 2, 6.8).

    A switch that is no yes or no names beside its default the other settings worth trying: `TRIED` has them all.
    """

    strict_fields: bool = True
    max_report_ads: int = _switch(20_000, 5)
    zero_rows: bool = True
    slash_redirect: bool = False
    old_lifetime: bool = True
    unique_campaign_names: bool = True
    idempotency_seconds: float = _switch(10.0, 0.5)
    read_only_refused: bool = False
    placeholders_allowed: bool = False
    patch_refuses_others: bool = False
    status_ids_as_numbers: bool = False
    optimistic_lock: bool = True
    review_seconds: int = _switch(1800, 0)
    no_scope_for: list[str] = field(
        default_factory=list, metadata={"tried": (["writes"], ["adgroup/get"], ["report/integrated/get"])}
    )
    withdrawn_metrics_named: bool = _switch(True, False)
    withdrawn_metrics: list[str] = field(default_factory=list, metadata={"tried": (["total_sales_lead_value"],)})
    punished: list[str] = field(default_factory=list, metadata={"tried": (["7000000000000000001"],)})
    bad_code_code: int = _switch(40110, 40101, 40115)
    wrong_secret_code: int = _switch(40001, 40002, 40101, 40110)
    timeout_penalties: bool = True
    blocked_query_code: int = _switch(40016, 40002, 40100)
    info_refused_whole: bool = True
    tiktok_sandbox: bool = False


def _other_settings(switch: "Field[Any]") -> tuple[Any, ...]:
    if switch.default is not MISSING and isinstance(switch.default, bool):
        return (not switch.default,)
    return tuple(switch.metadata["tried"])


TESTED_SETTINGS = {switch.name: _other_settings(switch) for switch in fields(Switches)}
"""By switch: its settings other than the default that a client is held against."""


@dataclass(kw_only=True)
class Cache:
    """Answers worth keeping while the clock stands; the oldest goes first."""

    kept: dict[Any, Any] = field(default_factory=dict)
    size: int = 24

    def keep(self, key: object, value: Any) -> Any:  # noqa: ANN401  # whatever the caller computed
        """Keep and return a value."""
        while len(self.kept) >= self.size:
            self.kept.pop(next(iter(self.kept)))
        self.kept[key] = value
        return value


@dataclass(kw_only=True)
class Context:
    """One request's surroundings.

    Attributes:
        now: The world's instant, epoch seconds.
        body: The JSON object of a POST.
        token: The access token sent.
        hidden: Ids that a fault hides from reads.
        created: Ids that this request brought into being.
        code: The code of a success.
        monotonic: Real seconds.
    """

    world: World
    facts: Facts
    cache: Cache
    switches: Switches
    auth: Auth
    now: int
    path: str
    params: Params
    monotonic: Callable[[], float]
    method: str = "GET"
    version: str = "v1.3"
    body: dict[str, Any] = field(default_factory=dict)
    token: str = ""
    trick: PageFault = NO_PAGE_FAULT
    hidden: frozenset[str] = frozenset()
    created: list[str] = field(default_factory=list)
    code: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    def advertiser(self, advertiser_id: str) -> Advertiser:
        """Return an account the token may use, else 40001 (dossier 2.1, 9 #5)."""
        advertiser = self.world.advertisers.get(advertiser_id)
        if advertiser is None and self.switches.tiktok_sandbox:  # dossier 1.1
            raise ApiError(40013, "The sandbox advertiser does not exist.")
        if advertiser is None or not advertiser.granted:
            raise ApiError.of(40001, path=self.path, method=self.method, advertiser_id=advertiser_id)
        return advertiser
