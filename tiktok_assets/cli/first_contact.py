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
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from tiktok_assets.api.client import Parameter, RequestStats
from tiktok_assets.api.envelope import decode_rows
from tiktok_assets.api.errors import CredentialsError, TikTokError, suggest_fix
from tiktok_assets.api.pagination import TRUNCATION_HEADER
from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.cli.doctor import DOCTOR_RETRY_POLICY
from tiktok_assets.cli.doctor_checks import classify_error, explain_missing_permission
from tiktok_assets.cli.errors import CommandError
from tiktok_assets.cli.first_contact_report import Observation, compare_rows, describe_shape, mask_message
from tiktok_assets.cli.output import log_line, print_text
from tiktok_assets.cli.rendering import print_json
from tiktok_assets.file_permissions import create_private_folder, write_private_file
from tiktok_assets.ingest.queries import build_entity_request, build_report_request
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec.endpoints import (
    AD_GROUP_QUOTA,
    ADVERTISER_INFO,
    ADVERTISER_LIST,
    IDENTITIES,
    REPORT,
    SUGGESTED_COVERS,
    Endpoint,
)
from tiktok_assets.spec.entities import ADVERTISERS, LISTED_ENTITIES, Entity
from tiktok_assets.spec.reports import Report, report_columns, served_metrics
from tiktok_assets.tables.cells import parse_cell
from tiktok_assets.tables.row_validation import dimension_names

SAMPLE_ROWS = 100
"""Rows of a list that are looked at; TikTok allows a thousand a page, and a few show the shape."""

SAMPLE_DAYS = 7
"""Days a daily report is asked for, ending yesterday."""

MAX_ACCOUNTS_TRIED = 10
"""Accounts that are looked at for one with campaigns, a request each."""

REPORT_FILE_NAME = "first_contact.md"

_ERROR_SUFFIX = re.compile(r" \((code \d+)?(, )?(request [^)]*)?\)$")
_LIMIT_HEADERS = re.compile(r"rate|limit|throttle|retry|quota", re.IGNORECASE)


@dataclass(slots=True)
class ContactReport:
    """All observations of one account on one host.

    Attributes:
        host: what kind of host, not its address.
        facts: of the program and the account, as far as they identify nobody.
        observations: in the order asked.
    """

    host: str
    facts: dict[str, str]
    observations: list[Observation]

    @property
    def will_not_work(self) -> list[str]:
        """Sentences about what this host or token does not allow."""
        sentences = []
        for one in self.observations:
            if one.outcome == "refused":
                what = f"{one.asked_for} ({one.endpoint}, {one.code or 'no answer'})"
                sentences.append(f"{what}: {one.reason.rstrip('.')}. {one.mend}".rstrip())
        return sentences

    def as_json(self) -> dict[str, Any]:
        """Return the report for a program."""
        return {**asdict(self), "will_not_work": self.will_not_work}


def check_endpoints(settings: Settings, session: Session, advertiser_id: str | None = None) -> ContactReport:
    """Ask for each thing a refresh reads once, for one account.

    Args:
        settings: which reports and metrics, and whether ads may be duplicated.
        session: what asks.
        advertiser_id: the account; by default the first with campaigns of those the settings name, else of those
            granted.

    Raises:
        CredentialsError: if there is no usable token, or no account is known.
    """
    asking = _EndpointChecker(session)
    listed = _list_granted_accounts(asking, settings)
    owners = [advertiser_id] if advertiser_id else sorted(settings.advertiser_ids) or listed
    if not owners:
        raise CredentialsError(
            "no ad account is known: set TIKTOK_APP_ID and TIKTOK_APP_SECRET so that the accounts can be listed,"
            " or name one with --advertiser"
        )
    owner = _find_account_with_campaigns(asking, session, owners[:MAX_ACCOUNTS_TRIED])
    details = _read_account_details(asking, owner)
    ads: list[dict[str, Any]] = []
    for entity in LISTED_ENTITIES[1:]:
        ads = _check_entity(asking, session, entity, owner)
    zone = _parse_time_zone(details)
    yesterday = session.now().astimezone(zone).date() - timedelta(1)
    for report in settings.chosen_reports:
        _check_report(asking, settings, report, owner, yesterday)
    if settings.scaling_mode != "alert":
        _check_duplication_endpoints(asking, owner, ads)
    for one in asking.observations:
        if one.outcome == "as expected" and (one.missing or one.undocumented or one.misfits or one.new_values):
            one.outcome = "differs"
        elif one.outcome == "as expected" and one.rows == 0:
            one.outcome = "no rows"
    return ContactReport(
        _classify_host(settings.base_url), _collect_facts(settings, session, details), asking.observations
    )


def _list_granted_accounts(asking: "_EndpointChecker", settings: Settings) -> list[str]:
    """Return the ids of the accounts granted, as far as they can be listed."""
    if not settings.app_id or not settings.app_secret:
        asking.skip(ADVERTISER_LIST, "finding accounts", "TIKTOK_APP_ID and TIKTOK_APP_SECRET are not set")
        return []
    parameters = {"app_id": settings.app_id, "secret": settings.app_secret.get_secret_value()}
    rows, seen = asking.list_of(ADVERTISER_LIST, parameters, "finding accounts", paged=False)
    id_column = ADVERTISERS.columns[0]
    compare_rows(seen, rows, {"": (id_column,)}, known={"advertiser_name"})
    return sorted(str(row["advertiser_id"]) for row in rows if parse_cell(id_column, row.get("advertiser_id"))[0])


def _find_account_with_campaigns(asking: "_EndpointChecker", session: Session, owners: Sequence[str]) -> str:
    """Return the first account that has campaigns, or the first; an empty one shows nothing."""
    for owner in owners:
        asking.forget(LISTED_ENTITIES[0].table)
        if _check_entity(asking, session, LISTED_ENTITIES[0], owner):
            return owner
    if len(owners) > 1:
        asking.forget(LISTED_ENTITIES[0].table)
        _check_entity(asking, session, LISTED_ENTITIES[0], owners[0])
    return owners[0]


def _check_entity(
    asking: "_EndpointChecker", session: Session, entity: Entity, owner: str
) -> list[dict[str, Any]]:
    """Ask for objects; returns those that came."""
    listing = build_entity_request(entity, owner, {}, session.now)
    rows, seen = asking.list_of(entity.endpoint, listing.parameters, entity.table)
    compare_rows(seen, rows, {"": entity.columns}, entity=entity)
    return rows


def _read_account_details(asking: "_EndpointChecker", owner: str) -> Mapping[str, Any]:
    parameters: dict[str, Parameter] = {"advertiser_ids": [owner]}
    rows, seen = asking.list_of(ADVERTISER_INFO, parameters, ADVERTISERS.table, paged=False)
    compare_rows(seen, rows, {"": ADVERTISERS.columns}, entity=ADVERTISERS)
    return rows[0] if rows else {}


def _check_duplication_endpoints(asking: "_EndpointChecker", owner: str, ads: Sequence[Mapping[str, Any]]) -> None:
    """Ask what is read before an ad is copied; nothing is written."""
    account: dict[str, Parameter] = {"advertiser_id": owner}
    data, seen = asking.data_of(AD_GROUP_QUOTA, account, "room for a copy")
    wanted = ("used_adgroup_quota", "total_adgroup_quota")
    seen.missing += [name for name in wanted if data is not None and name not in data]
    rows, seen = asking.list_of(IDENTITIES, account, "the identity of a copy", key="identity_list")
    came = {name for row in rows for name in row}
    seen.missing += [name for name in ("identity_id", "available_status") if rows and name not in came]
    video = next((ad["video_id"] for ad in ads if isinstance(ad.get("video_id"), str) and ad["video_id"]), None)
    if video is None:
        asking.skip(SUGGESTED_COVERS, "the cover of a copy", "no ad that was read shows a video")
        return
    rows, seen = asking.list_of(
        SUGGESTED_COVERS, {**account, "video_id": video}, "the cover of a copy", paged=False
    )
    seen.missing += ["id"] if rows and "id" not in rows[0] else []


def _check_report(
    asking: "_EndpointChecker", settings: Settings, report: Report, owner: str, yesterday: date
) -> None:
    metrics = served_metrics(report, settings.chosen_metrics)
    window = None
    if report.cadence == "daily":
        days = min(SAMPLE_DAYS, report.window_days)
        window = DateWindow(yesterday - timedelta(days - 1), yesterday)
    listing = build_report_request(
        report, owner, window, metrics=settings.chosen_metrics, asked=metrics, filters={}
    )
    rows, seen = asking.list_of(REPORT, listing.parameters, report.table)
    columns = [column for column in report_columns(report, settings.chosen_metrics) if column.api_name]
    wanted = dimension_names(report)
    owned = {"advertiser_id"}  # at other levels it is a metric that need not come
    compare_rows(
        seen,
        rows,
        {
            "dimensions": [one for one in columns if one.api_name in wanted],
            "metrics": [one for one in columns if one.api_name not in wanted | owned],
        },
        known=owned,
    )


class _EndpointChecker:
    """Asks, once each, and keeps an observation of every question."""

    def __init__(self, session: Session) -> None:
        self.observations: list[Observation] = []
        self._fetcher = session.reader.fetcher

    def skip(self, endpoint: Endpoint, asked_for: str, why: str) -> None:
        """Note that something was not asked."""
        self.observations.append(Observation(endpoint.path, asked_for, outcome="not asked", reason=why))

    def forget(self, asked_for: str) -> None:
        """Drop the observation of another account."""
        self.observations = [one for one in self.observations if one.asked_for != asked_for]

    def data_of(
        self, endpoint: Endpoint, parameters: Mapping[str, Parameter], asked_for: str
    ) -> tuple[dict[str, Any] | None, Observation]:
        """Ask; returns the `data` of a good answer or None, and the observation."""
        seen = Observation(endpoint.path, asked_for)
        self.observations.append(seen)
        tally, began = RequestStats(), time.monotonic()
        try:
            answer = self._fetcher.ask(endpoint, parameters, tally)
        except TikTokError as error:
            if isinstance(error, CredentialsError) and error.code is None:
                raise  # there is no token that can be sent
            seen.outcome, seen.code = "refused", error.code
            seen.reason = mask_message(_ERROR_SUFFIX.sub("", str(error).removeprefix(f"{endpoint.path}: ")))
            seen.mend = (
                explain_missing_permission(endpoint.path)[1]
                if classify_error(error) == "scope"
                else suggest_fix(error)
            )
            return None, seen
        finally:
            seen.seconds, seen.retries = round(time.monotonic() - began, 1), tally.retries
        seen.headers = sorted(name for name in map(str.lower, answer.headers) if _LIMIT_HEADERS.search(name))
        if TRUNCATION_HEADER.lower() in seen.headers:
            seen.reason = "TikTok left rows out"
        return answer.data, seen

    def list_of(
        self,
        endpoint: Endpoint,
        parameters: Mapping[str, Parameter],
        asked_for: str,
        *,
        paged: bool = True,
        key: str = "list",
    ) -> tuple[list[dict[str, Any]], Observation]:
        """Ask for a list; returns the rows that are objects, and the observation."""
        paging = {"page": "1", "page_size": str(SAMPLE_ROWS)} if paged else {}
        data, seen = self.data_of(endpoint, {**parameters, **paging}, asked_for)
        if data is None:
            return [], seen
        try:
            rows = decode_rows(data.get(key))
        except ValueError:
            rows = None
        info = data.get("page_info")
        total = info.get("total_number") if isinstance(info, dict) else None
        seen.announced = total if isinstance(total, int) and not isinstance(total, bool) else None
        if paged and seen.announced is None:
            seen.missing.append("page_info.total_number")
        if not isinstance(rows, list):
            seen.missing.append(key)
            return [], seen
        objects = [row for row in rows if isinstance(row, dict)]
        if len(objects) < len(rows):
            seen.misfits[key] = dict(Counter(describe_shape(row) for row in rows if not isinstance(row, dict)))
        seen.rows = len(objects)
        return objects, seen


def _parse_time_zone(details: Mapping[str, Any]) -> ZoneInfo:
    try:
        return ZoneInfo(str(details.get("display_timezone")))
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def _classify_host(base_url: str) -> str:
    host = urlsplit(base_url).hostname or ""
    if base_url == Settings.model_fields["base_url"].default:
        return "TikTok's API"
    if host.endswith(".tiktok.com"):
        return "TikTok's sandbox" if "sandbox" in host else "another host of TikTok"
    return "a host on this machine" if host in {"127.0.0.1", "localhost", "::1"} else "another host"


def _collect_facts(settings: Settings, session: Session, details: Mapping[str, Any]) -> dict[str, str]:
    zone, currency = details.get("display_timezone"), details.get("currency")
    return {
        "program": f"tiktok_assets {version('tiktok_assets')}, Python {platform.python_version()}",
        "date": f"{session.now():%Y-%m-%d}, by the host's clock",
        "API": settings.api_version,
        "currency": currency if isinstance(currency, str) and re.fullmatch(r"[A-Z]{3}", currency) else "not told",
        "time zone": str(_parse_time_zone(details)) if isinstance(zone, str) and zone else "not told",
        "reports": f"{len(settings.chosen_reports)}, with {len(settings.chosen_metrics)} metrics",
        "scaling mode": settings.scaling_mode,
    }


def render_markdown(contact: ContactReport) -> str:
    """Write the report as Markdown, for an issue."""
    good = sum(one.outcome == "as expected" for one in contact.observations)
    empty = sum(one.outcome == "no rows" for one in contact.observations)
    asked = sum(one.outcome != "not asked" for one in contact.observations)
    lines = [f"# First contact with {contact.host}", ""]
    lines += [f"- {name}: {value}" for name, value in contact.facts.items()]
    lines += ["", f"Of {asked} questions {good} were answered as expected, {empty} without rows.", ""]
    lines += ["## What will not work here", ""]
    lines += [f"- {one}" for one in contact.will_not_work] or ["Nothing that was asked is refused."]
    lines += ["", "## Each question", "", "| endpoint | for | outcome | rows | of | seconds | retries |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for one in contact.observations:
        rows, of = ("" if number is None else str(number) for number in (one.rows, one.announced))
        outcome = f"{one.outcome} ({one.code})" if one.code is not None else one.outcome
        row = (one.endpoint, one.asked_for, outcome, rows, of, str(one.seconds), str(one.retries))
        lines.append(f"| {' | '.join(row)} |")
    if details := [line for one in contact.observations for line in _list_differences(one)]:
        lines += ["", "## What differs", "", *details]
    return "\n".join(lines) + "\n"


def _list_differences(one: Observation) -> list[str]:
    about = f"- `{one.asked_for}`"
    told = [f"{about}: {one.reason}."] if one.reason and one.outcome != "refused" else []
    told += [f"{about}, no row had: {', '.join(f'`{name}`' for name in one.missing)}."] if one.missing else []
    if one.undocumented:
        told.append(f"{about}, no document names: {', '.join(f'`{name}`' for name in one.undocumented)}.")
    for name, shapes in one.misfits.items():
        listed = ", ".join(f"{shape} ({number} times)" for shape, number in shapes.items())
        told.append(f"{about}, values of `{name}` that do not fit: {listed}.")
    for name, values in one.new_values.items():
        told.append(f"{about}, undocumented values of `{name}`: {', '.join(f'`{value}`' for value in values)}.")
    return told


def run_first_contact(settings: Settings, advertiser_id: str | None, *, as_json: bool) -> None:
    """Make contact, print the report, and keep it as a file in the state folder.

    Raises:
        Problem: if something that the settings need does not work here.
        SettingsError: if the settings cannot be used.
        TikTokError: if there is no usable token or no account.
    """
    with closing(Session(settings, policy=DOCTOR_RETRY_POLICY)) as session:
        contact = check_endpoints(settings, session, advertiser_id)
    path = create_private_folder(settings.state_dir) / REPORT_FILE_NAME
    text = render_markdown(contact)
    write_private_file(path, text.encode())
    if as_json:
        print_json(contact.as_json())
    else:
        print_text(text.rstrip("\n"))
    log_line(f"Kept in {path}; it names no account, so it can be pasted into an issue.")
    if contact.will_not_work:
        raise CommandError(f"{len(contact.will_not_work)} of the things asked for do not work here.")
