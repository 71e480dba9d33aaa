"""The context in which an endpoint runs: the world, the current instant, the request and the switches."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any

from tiktok_assets.sandbox.http.access import Auth
from tiktok_assets.sandbox.http.errors import ApiError
from tiktok_assets.sandbox.http.faults import Fault
from tiktok_assets.sandbox.http.params import NO_PAGE_FAULT, PageFault, Params
from tiktok_assets.sandbox.http.report_tasks import ReportTasks
from tiktok_assets.sandbox.world.facts import Facts
from tiktok_assets.sandbox.world.model import Advertiser, World

ResponseData = dict[str, Any]  # the `data` of a response


def _switch(default: Any, *others: Any) -> Any:  # noqa: ANN401  # as dataclasses.field
    return field(default=default, metadata={"tested": others})


@dataclass(kw_only=True)
class Switches:
    """Rules of which the API notes are uncertain, and limits that tests lower.

    Attributes:
        strict_fields: Refuse unknown names in `fields` (API notes 5.1, uncertain).
        max_report_ads: How many ads a report considers, newest first (API notes 6.3).
        zero_rows: Reports without a time dimension have rows of zeros for entities without data (API notes 6.5).
        slash_redirect: A path without a trailing slash is redirected with 307 (API notes 1.1, uncertain).
        old_lifetime: v1.3 reports accept `lifetime` of v1.2 (seen live in 2023; ignored by API notes 1.4).
        unique_campaign_names: Refuse a campaign name in use unless a request_id is given (API notes 8.5,
            uncertain).
        idempotency_seconds: How long a request_id is kept, by the wall clock (API notes 8.5).
        read_only_refused: Refuse read-only keys in creates instead of ignoring them (API notes 8.4).
        placeholders_allowed: Accept 0 bids, "" links, UNSET and the like (refused by API notes 8.4).
        patch_refuses_others: Refuse other keys in a patch_update instead of ignoring them (API notes 8.3:
            "allows only"; but TikTok's SDK always sends some).
        status_ids_as_numbers: Status updates return ids as numbers (API notes 0.1 #12).
        optimistic_lock: Overlapping writes to one campaign or ad group fail with 40202 (API notes 8.5).
        review_seconds: How long a new or changed ad is in review, by the world's clock.
        no_scope_for: Paths, or their first parts such as "gmv_max", that the token has no scope for; "writes" for
            all writes (API notes 2.1).
        withdrawn_metrics: Metrics that are refused as unknown ones are (API notes 9 #3).
        withdrawn_metrics_named: Whether that error names them; otherwise it is the error for metrics and
            dimensions that cannot be combined.
        punished: Accounts that may have no active ad group (mengxingxinqing/tiktok_ads
            get_the_dynamic_quota_on_active_ad_groups).
        not_allowed_smart_plus: Accounts that are not on the allow-list for writing Upgraded Smart+, which get
            40118 (mengxingxinqing/tiktok_ads upgraded_smart_campaign; api-evangelist/tiktok-ads errors/).
        manual_campaigns_end: The UTC day from which campaign/create fails, which makes manual campaigns only;
            empty for never (mengxingxinqing/tiktok_ads 01_upgraded_smart_plus_overview; the error is our
            assumption).
        manual_ads_end: The UTC day, such as 2027-01-01, from which adgroup/create and ad/create fail too, as
            campaign/create does; empty for never (not said in upgraded_smart_campaign).
        bad_code_code: The error code for an auth_code that is wrong, used or too old (one of several in
            api-evangelist/tiktok-ads errors/).
        wrong_secret_code: The error code for a wrong app or secret (not in API notes 2).
        timeout_penalties: Whether time-outs slow down and block report queries (API notes 4.3).
        blocked_query_code: The error code of a blocked query (not in API notes 4.3).
        single_attributes_of_lists: Reports by `ad_id_v2` have an attribute that is a list, such as `ad_text_list`,
            beside the single one with "-", and not instead of it (run_a_synchronous_report does not say).
        transcoding_videos_listed: file/video/ad/info lists a video that is being transcoded as not displayable;
            otherwise it leaves it out, as it does videos that cannot be used in ads (get_info_about_videos).
        gmv_max_attributes_refused: Reports on GMV Max refuse attributes where they cannot be retrieved; otherwise
            they leave them out (metrics_in_gmv_max_campaign_reports says only "cannot").
        gmv_max_zero_days: Reports on GMV Max by day have rows of zeros for days without delivery (as in the
            examples of metrics_in_gmv_max_campaign_reports).
        materials_of_deleted_ads: Reports on materials include those of deleted Upgraded Smart+ ads (not said by
            run_an_upgraded_smart_creative_overview_report).
        info_refused_whole: One id that is not granted fails advertiser/info; otherwise it is left out (not in
            API notes 5.3).
        report_tasks_allowed: The app is on the allow-list for report tasks; otherwise creating one is 40118 (API
            notes 6.7).
        tasks_of_deleted: Report tasks include deleted objects; they have no filter for them (API notes 6.7), and
            no page says which objects they have.
        tiktok_sandbox: Behave like TikTok's own sandbox (API notes 1.1, 2, 6.8).

    A switch that is not a boolean lists the other settings to test beside its default; see `TESTED_SETTINGS`.
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
        default_factory=list,
        metadata={"tested": (["writes"], ["adgroup/get"], ["report/integrated/get"], ["gmv_max"])},
    )
    withdrawn_metrics_named: bool = _switch(True, False)
    withdrawn_metrics: list[str] = field(default_factory=list, metadata={"tested": (["total_sales_lead_value"],)})
    punished: list[str] = field(default_factory=list, metadata={"tested": (["7000000000000000001"],)})
    not_allowed_smart_plus: list[str] = field(
        default_factory=list, metadata={"tested": (["7000000000000000001"],)}
    )
    manual_campaigns_end: str = _switch("2027-01-01", "2026-01-01")
    manual_ads_end: str = _switch("", "2026-01-01")
    bad_code_code: int = _switch(40110, 40101, 40115)
    wrong_secret_code: int = _switch(40001, 40002, 40101, 40110)
    timeout_penalties: bool = True
    blocked_query_code: int = _switch(40016, 40002, 40100)
    single_attributes_of_lists: bool = False
    transcoding_videos_listed: bool = True
    gmv_max_attributes_refused: bool = True
    gmv_max_zero_days: bool = True
    materials_of_deleted_ads: bool = True
    info_refused_whole: bool = True
    report_tasks_allowed: bool = True
    tasks_of_deleted: bool = True
    tiktok_sandbox: bool = False


def _other_settings(switch: "Field[Any]") -> tuple[Any, ...]:
    if switch.default is not MISSING and isinstance(switch.default, bool):
        return (not switch.default,)
    return tuple(switch.metadata["tested"])


TESTED_SETTINGS = {switch.name: _other_settings(switch) for switch in fields(Switches)}
"""By switch: the settings other than the default that a client is tested against."""


@dataclass(kw_only=True)
class Cache:
    """A cache of computed responses that drops its oldest entry when it is full."""

    entries: dict[Any, Any] = field(default_factory=dict)
    size: int = 24

    def store(self, key: object, value: Any) -> Any:  # noqa: ANN401  # whatever the caller computed
        """Store a value and return it."""
        while len(self.entries) >= self.size:
            self.entries.pop(next(iter(self.entries)))
        self.entries[key] = value
        return value


@dataclass(kw_only=True)
class Context:
    """What an endpoint needs of the server and of its request.

    Attributes:
        now: The current instant of the world, epoch seconds.
        body: The JSON object of a POST.
        token: The access token of the request.
        tasks: The report tasks.
        page_fault: How a fault changes paging.
        fired: The faults that fire for this request, by kind.
        hidden_ids: Ids that a fault hides from reads.
        created_ids: Ids of the entities that this request has created.
        response_code: The business code of a successful response.
        headers: Headers to add to the response.
        monotonic: Returns real seconds.
        base_url: Scheme, host and port under which the request has reached the server.
        raw_body: Body and media type of a response without an envelope; None for JSON.
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
    tasks: ReportTasks = field(default_factory=ReportTasks)
    page_fault: PageFault = NO_PAGE_FAULT
    fired: Mapping[str, Fault] = field(default_factory=dict)
    hidden_ids: frozenset[str] = frozenset()
    created_ids: list[str] = field(default_factory=list)
    response_code: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    base_url: str = ""
    raw_body: tuple[bytes, str] | None = None

    def advertiser(self, advertiser_id: str) -> Advertiser:
        """Return an account that the token may use.

        Raises:
            ApiError: 40001, the account does not exist or is not granted (API notes 2.1, 9 #5); 40013 in TikTok's
                own sandbox (API notes 1.1).
        """
        advertiser = self.world.advertisers.get(advertiser_id)
        if advertiser is None and self.switches.tiktok_sandbox:  # API notes 1.1
            raise ApiError(40013, "The sandbox advertiser does not exist.")
        if advertiser is None or not advertiser.granted:
            raise ApiError.from_code(40001, path=self.path, method=self.method, advertiser_id=advertiser_id)
        return advertiser
