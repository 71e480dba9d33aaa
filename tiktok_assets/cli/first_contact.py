"""Run `doctor --first-contact`: send each request once to a real account and check the responses.

All requests are read-only. The report can be pasted into a public issue: it contains field names, codes and row
counts, and no names, ids, amounts or addresses.
"""

import platform
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from tiktok_assets.api import (
    TRUNCATION_HEADER,
    CredentialsError,
    DateWindow,
    Parameter,
    RequestStats,
    TikTokError,
    decode_rows,
    suggest_fix,
)
from tiktok_assets.cli.doctor import DOCTOR_RETRY_POLICY
from tiktok_assets.cli.doctor_checks import classify_error, explain_missing_permission
from tiktok_assets.cli.errors import CommandError
from tiktok_assets.cli.first_contact_report import (
    ContactReport,
    Observation,
    compare_rows,
    describe_shape,
    mask_message,
    render_markdown,
)
from tiktok_assets.cli.output import log_line, print_text
from tiktok_assets.cli.rendering import print_json
from tiktok_assets.file_permissions import create_private_folder, write_private_file
from tiktok_assets.ingest import (
    build_entity_query,
    build_gmv_max_query,
    build_report_query,
    select_authorized_shops,
)
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec import (
    AD_GROUP_QUOTA,
    ADS,
    ADVERTISER_INFO,
    ADVERTISER_LIST,
    ADVERTISERS,
    CAMPAIGNS,
    GMV_MAX_CAMPAIGN_REPORT,
    GMV_MAX_SHOPS,
    IDENTITIES,
    LISTED_ENTITIES,
    SUGGESTED_COVERS,
    Endpoint,
    Entity,
    Report,
    report_columns,
    served_metrics,
)
from tiktok_assets.tables import build_entity_frame, dimension_names, parse_cell

SAMPLE_ROWS = 100
"""Rows to read of each list; TikTok allows 1,000 a page, but a few show the format."""

SAMPLE_DAYS = 7
"""Days to read of each daily report, ending yesterday."""

MAX_ACCOUNTS_TRIED = 10
"""Accounts to try, with one request each, until one has campaigns."""

REPORT_FILE_NAME = "first_contact.md"

_ERROR_SUFFIX = re.compile(r" \((code \d+)?(, )?(request [^)]*)?\)$")
_LIMIT_HEADERS = re.compile(r"rate|limit|throttle|retry|quota", re.IGNORECASE)


def run_first_contact(settings: Settings, advertiser_id: str | None, *, as_json: bool) -> None:
    """Check all endpoints, print the report, and store it in the state folder.

    Raises:
        CommandError: if an endpoint that the settings need is refused.
        TikTokError: if there is no usable token or no account.
    """
    with closing(Session(settings, policy=DOCTOR_RETRY_POLICY)) as session:
        report = check_endpoints(settings, session, advertiser_id)
    path = create_private_folder(settings.state_dir) / REPORT_FILE_NAME
    text = render_markdown(report)
    write_private_file(path, text.encode())
    if as_json:
        print_json(report.to_json())
    else:
        print_text(text.rstrip("\n"))
    log_line(f"Stored in {path}; the report has no account data, so it can be pasted into an issue.")
    if report.unavailable:
        raise CommandError(f"{len(report.unavailable)} of the requests were refused by this host.")


def check_endpoints(settings: Settings, session: Session, advertiser_id: str | None = None) -> ContactReport:
    """Send each request of a refresh once, for one account, and compare the responses with the expected fields.

    Args:
        settings: the reports and metrics, and whether ads may be duplicated.
        session: an open session.
        advertiser_id: the account; by default the first with campaigns of the configured accounts, or of the
            granted ones if none is configured.

    Raises:
        CredentialsError: if there is no usable token, or no account is known.
    """
    checker = _EndpointChecker(session)
    granted = _list_granted_accounts(checker, settings)
    candidates = [advertiser_id] if advertiser_id else sorted(settings.advertiser_ids) or granted
    if not candidates:
        raise CredentialsError(
            "no ad account is known: set TIKTOK_APP_ID and TIKTOK_APP_SECRET so that the accounts can be listed,"
            " or choose one with --advertiser"
        )
    account = _find_account_with_campaigns(checker, session, candidates[:MAX_ACCOUNTS_TRIED])
    details = _check_account_details(checker, account)
    others = [entity for entity in LISTED_ENTITIES if entity is not CAMPAIGNS]
    rows = {entity.table: _check_entity(checker, session, entity, account) for entity in others}
    yesterday = session.now().astimezone(_parse_time_zone(details)).date() - timedelta(1)
    for report in settings.chosen_reports:
        _check_report(checker, settings, report, account, yesterday)
    _check_gmv_max(checker, account, yesterday)
    if settings.scaling_mode != "alert":
        _check_duplication_endpoints(checker, account, rows[ADS.table])
    for one in checker.observations:
        if one.outcome == "as expected" and one.has_differences:
            one.outcome = "differs"
        elif one.outcome == "as expected" and one.rows == 0:
            one.outcome = "no rows"
    facts = _collect_facts(settings, session, details)
    return ContactReport(_classify_host(settings.base_url), facts, checker.observations)


def _list_granted_accounts(checker: "_EndpointChecker", settings: Settings) -> list[str]:
    """Return the granted advertiser ids; none if they cannot be listed."""
    if not settings.app_id or not settings.app_secret:
        reason = "TIKTOK_APP_ID and TIKTOK_APP_SECRET are not set"
        checker.skip(ADVERTISER_LIST, "finding accounts", reason)
        return []
    parameters = {"app_id": settings.app_id, "secret": settings.app_secret.get_secret_value()}
    rows, observation = checker.read_list(ADVERTISER_LIST, parameters, "finding accounts", is_paged=False)
    id_column = ADVERTISERS.columns[0]
    compare_rows(observation, rows, {"": (id_column,)}, known={"advertiser_name"})
    return sorted(str(row["advertiser_id"]) for row in rows if parse_cell(id_column, row.get("advertiser_id"))[0])


def _find_account_with_campaigns(
    checker: "_EndpointChecker", session: Session, advertiser_ids: Sequence[str]
) -> str:
    """Return the first account that has campaigns, or the first account if none has."""
    for advertiser_id in advertiser_ids:
        checker.drop(CAMPAIGNS.table)
        if _check_entity(checker, session, CAMPAIGNS, advertiser_id):
            return advertiser_id
    if len(advertiser_ids) > 1:
        checker.drop(CAMPAIGNS.table)
        _check_entity(checker, session, CAMPAIGNS, advertiser_ids[0])
    return advertiser_ids[0]


def _check_entity(
    checker: "_EndpointChecker", session: Session, entity: Entity, advertiser_id: str
) -> list[dict[str, Any]]:
    """Check the list of an entity and return its rows."""
    query = build_entity_query(entity, advertiser_id, {}, session.now)
    rows, observation = checker.read_list(entity.endpoint, query.parameters, entity.table)
    compare_rows(observation, rows, {"": entity.columns}, entity=entity)
    return rows


def _check_account_details(checker: "_EndpointChecker", advertiser_id: str) -> Mapping[str, Any]:
    """Check the details of an account and return them; empty if they cannot be read."""
    parameters: dict[str, Parameter] = {"advertiser_ids": [advertiser_id]}
    rows, observation = checker.read_list(ADVERTISER_INFO, parameters, ADVERTISERS.table, is_paged=False)
    compare_rows(observation, rows, {"": ADVERTISERS.columns}, entity=ADVERTISERS)
    return rows[0] if rows else {}


def _check_duplication_endpoints(
    checker: "_EndpointChecker", advertiser_id: str, ads: Sequence[Mapping[str, Any]]
) -> None:
    """Check the endpoints that are read before an ad is duplicated; nothing is written."""
    account: dict[str, Parameter] = {"advertiser_id": advertiser_id}
    data, observation = checker.read_data(AD_GROUP_QUOTA, account, "ad group quota for a duplication")
    required = ("used_adgroup_quota", "total_adgroup_quota")
    observation.missing += [name for name in required if data is not None and name not in data]
    rows, observation = checker.read_list(IDENTITIES, account, "identity for a duplication", key="identity_list")
    fields = {name for row in rows for name in row}
    required = ("identity_id", "available_status")
    observation.missing += [name for name in required if rows and name not in fields]
    purpose = "video cover for a duplication"
    video = next((ad["video_id"] for ad in ads if isinstance(ad.get("video_id"), str) and ad["video_id"]), None)
    if video is None:
        checker.skip(SUGGESTED_COVERS, purpose, "none of the ads that were read has a video")
        return
    rows, observation = checker.read_list(
        SUGGESTED_COVERS, {**account, "video_id": video}, purpose, is_paged=False
    )
    observation.missing += ["id"] if rows and "id" not in rows[0] else []


def _check_report(
    checker: "_EndpointChecker", settings: Settings, report: Report, advertiser_id: str, yesterday: date
) -> None:
    metrics = served_metrics(report, settings.chosen_metrics)
    window = None
    if report.cadence == "daily":
        days = min(SAMPLE_DAYS, report.window_days)
        window = DateWindow(yesterday - timedelta(days - 1), yesterday)
    query = build_report_query(
        report, advertiser_id, window, metrics=settings.chosen_metrics, requested=metrics, filters={}
    )
    rows, observation = checker.read_list(report.source.endpoint, query.parameters, report.table)
    columns = [column for column in report_columns(report, settings.chosen_metrics) if column.api_name]
    dimensions = dimension_names(report)
    optional = {"advertiser_id"}  # a metric at other levels, which may be missing
    compare_rows(
        observation,
        rows,
        {
            "dimensions": [column for column in columns if column.api_name in dimensions],
            "metrics": [column for column in columns if column.api_name not in dimensions | optional],
        },
        known=optional,
    )


def _check_gmv_max(checker: "_EndpointChecker", advertiser_id: str, yesterday: date) -> None:
    """Check the list of TikTok Shops and, with a shop, the report of its campaigns; few tokens may read them."""
    parameters: dict[str, Parameter] = {"advertiser_id": advertiser_id}
    rows, observation = checker.read_list(
        GMV_MAX_SHOPS.endpoint, parameters, GMV_MAX_SHOPS.table, is_paged=False, key="store_list"
    )
    if observation.outcome == "refused":
        observation.outcome = "not asked"
    compare_rows(observation, rows, {"": GMV_MAX_SHOPS.columns[1:]})
    shops = build_entity_frame(GMV_MAX_SHOPS, rows, datetime.now(UTC), unknown_fields=set())
    store_ids = select_authorized_shops(shops, advertiser_id)
    for promotion_type in GMV_MAX_CAMPAIGN_REPORT.promotion_types if store_ids else ():
        window = DateWindow(yesterday - timedelta(SAMPLE_DAYS - 1), yesterday)
        query = build_gmv_max_query(
            GMV_MAX_CAMPAIGN_REPORT,
            advertiser_id,
            window,
            store_id=store_ids[0],
            promotion_type=promotion_type,
            filters={},
        )
        purpose = f"{GMV_MAX_CAMPAIGN_REPORT.table}, {promotion_type}"
        rows, observation = checker.read_list(query.endpoint, query.parameters, purpose)
        names = {one.api_name for one in GMV_MAX_CAMPAIGN_REPORT.metrics if promotion_type in one.promotion_types}
        columns = [one for one in GMV_MAX_CAMPAIGN_REPORT.columns if one.api_name in names]
        compare_rows(observation, rows, {"dimensions": _GMV_MAX_IDS, "metrics": columns}, known={"currency"})


_GMV_MAX_IDS = [one for one in GMV_MAX_CAMPAIGN_REPORT.columns if one.api_name in {"campaign_id", "stat_time_day"}]


class _EndpointChecker:
    """Sends requests and keeps an observation of each."""

    def __init__(self, session: Session) -> None:
        self.observations: list[Observation] = []
        self._fetcher = session.reader.fetcher

    def skip(self, endpoint: Endpoint, purpose: str, reason: str) -> None:
        """Record that a request was not sent."""
        self.observations.append(Observation(endpoint.path, purpose, outcome="not asked", reason=reason))

    def drop(self, purpose: str) -> None:
        """Drop the observation of another account."""
        self.observations = [one for one in self.observations if one.purpose != purpose]

    def read_data(
        self, endpoint: Endpoint, parameters: Mapping[str, Parameter], purpose: str
    ) -> tuple[dict[str, Any] | None, Observation]:
        """Send a request; return the `data` of the response, or None if it was refused, and the observation.

        Raises:
            CredentialsError: if there is no token that can be sent.
        """
        observation = Observation(endpoint.path, purpose)
        self.observations.append(observation)
        stats, start = RequestStats(), time.monotonic()
        try:
            response = self._fetcher.get(endpoint, parameters, stats)
        except TikTokError as error:
            if isinstance(error, CredentialsError) and error.code is None:
                raise
            observation.outcome, observation.code = "refused", error.code
            message = str(error).removeprefix(f"{endpoint.path}: ")
            observation.reason = mask_message(_ERROR_SUFFIX.sub("", message))
            is_permission = classify_error(error) == "scope"
            observation.fix = explain_missing_permission(endpoint.path)[1] if is_permission else suggest_fix(error)
            return None, observation
        finally:
            observation.seconds, observation.retries = round(time.monotonic() - start, 1), stats.retries
        headers = map(str.lower, response.headers)
        observation.headers = sorted(name for name in headers if _LIMIT_HEADERS.search(name))
        if TRUNCATION_HEADER.lower() in observation.headers:
            observation.reason = "TikTok omitted rows"
        return response.data, observation

    def read_list(
        self,
        endpoint: Endpoint,
        parameters: Mapping[str, Parameter],
        purpose: str,
        *,
        is_paged: bool = True,
        key: str = "list",
    ) -> tuple[list[dict[str, Any]], Observation]:
        """Send a request for a list; return the rows that are objects, and the observation.

        Args:
            endpoint: the endpoint.
            parameters: the parameters, without those of pages.
            purpose: the table, or what the endpoint is needed for.
            is_paged: whether the endpoint has pages.
            key: the field of `data` that has the list.
        """
        paging = {"page": "1", "page_size": str(SAMPLE_ROWS)} if is_paged else {}
        data, observation = self.read_data(endpoint, {**parameters, **paging}, purpose)
        if data is None:
            return [], observation
        try:
            rows = decode_rows(data.get(key))
        except ValueError:
            rows = None
        info = data.get("page_info")
        total = info.get("total_number") if isinstance(info, dict) else None
        observation.total_rows = total if isinstance(total, int) and not isinstance(total, bool) else None
        if is_paged and observation.total_rows is None:
            observation.missing.append("page_info.total_number")
        if not isinstance(rows, list):
            observation.missing.append(key)
            return [], observation
        objects = [row for row in rows if isinstance(row, dict)]
        if len(objects) < len(rows):
            shapes = Counter(describe_shape(row) for row in rows if not isinstance(row, dict))
            observation.invalid_values[key] = dict(shapes)
        observation.rows = len(objects)
        return objects, observation


def _parse_time_zone(details: Mapping[str, Any]) -> ZoneInfo:
    try:
        return ZoneInfo(str(details.get("display_timezone")))
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def _classify_host(base_url: str) -> str:
    """Return the kind of a host, without its address."""
    host = urlsplit(base_url).hostname or ""
    if base_url == Settings.model_fields["base_url"].default:
        return "TikTok's API"
    if host.endswith(".tiktok.com"):
        return "TikTok's sandbox" if "sandbox" in host else "another host of TikTok"
    return "a host on this machine" if host in {"127.0.0.1", "localhost", "::1"} else "another host"


def _collect_facts(settings: Settings, session: Session, details: Mapping[str, Any]) -> dict[str, str]:
    """Return facts about program and account that identify neither."""
    zone, currency = details.get("display_timezone"), details.get("currency")
    return {
        "program": f"tiktok_assets {version('tiktok_assets')}, Python {platform.python_version()}",
        "date": f"{session.now():%Y-%m-%d}, by the host's clock",
        "API": settings.api_version,
        "currency": currency if isinstance(currency, str) and re.fullmatch(r"[A-Z]{3}", currency) else "unknown",
        "time zone": str(_parse_time_zone(details)) if isinstance(zone, str) and zone else "unknown",
        "reports": f"{len(settings.chosen_reports)}, with {len(settings.chosen_metrics)} metrics",
        "scaling mode": settings.scaling_mode,
    }
