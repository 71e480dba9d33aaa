"""Define the checks of the `doctor` command and record their results."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Literal
from uuid import uuid4

from tiktok_assets.api import (
    AdvertiserError,
    BannedError,
    CredentialsError,
    DailyQuotaError,
    Fetcher,
    Identity,
    ThrottledError,
    TikTokError,
    describe_retry_delay,
    lacks_permission,
    list_objects,
    suggest_fix,
)
from tiktok_assets.duplication import is_deleted, parse_identities
from tiktok_assets.file_permissions import create_private_folder
from tiktok_assets.ingest import Reader, count_entities, count_report, meets_condition
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec import (
    CAMPAIGNS,
    DUPLICATION_READS,
    ENDPOINTS,
    GMV_MAX_READS,
    LISTED_ENTITIES,
    MEDIA_READS,
    REPORT,
    REPORTS,
)
from tiktok_assets.storage import HiveStore
from tiktok_assets.tables import Account

CheckState = Literal["ok", "fault", "not set", "not checked"]
ErrorCause = Literal["token", "app", "restricted", "scope", "account", "other"]

CHECKS = {
    "settings": "the settings are valid",
    "store": "the tables can be written",
    "state": "the state folder can be written",
    "alerts": "Apprise supports every URL of TIKTOK_ALERT_URLS",
    "destinations": "every destination of TIKTOK_DESTINATIONS can be reached and read",
    "schedule": "TIKTOK_REFRESH_CRON leaves enough time for a refresh",
    "token": "there is a token",
    "host": "the host responds and is a TikTok API",
    "clock": "this machine's clock agrees with the host's",
    "unrestricted": "TikTok accepts requests of the app",
    "accepted": "the token is accepted",
    "app": "app id, app secret and token belong together",
    "accounts": "accounts are granted",
    "pinned": "every account of TIKTOK_ADVERTISER_IDS is granted",
    "entities": "campaigns, ad groups and ads can be read",
    "reports": "reports can be read",
    "details": "time zone and currency of each account are known",
    "spend": "no spend of GMV Max, TopView or Promote is missing from the tables",
    "scaling": "every campaign of TIKTOK_SCALING_CAMPAIGNS exists",
    "copies": "identities can be read for duplications, and those of TIKTOK_SCALING_IDENTITY can post",
}
"""The checks in the order they are printed; each with the sentence that is true if it is ok."""

_APP_CODES = frozenset({40101, 40113, 40119, 40124, 40125})

_PERMISSIONS = {
    endpoint.path: endpoint.permission
    for endpoint in (*ENDPOINTS, *GMV_MAX_READS, *MEDIA_READS, *DUPLICATION_READS)
}

RETRY_LATER_FIX = (
    "Wait a few minutes; if it persists, contact TikTok's support, or set TIKTOK_API_TIER or TIKTOK_QPS."
)


def classify_error(error: TikTokError) -> ErrorCause:
    """Return what an error response is about; the text distinguishes the causes of 40001 (API notes 3.2, 3.3)."""
    text = str(error).lower()
    if isinstance(error, ThrottledError | BannedError):
        return "restricted"
    if lacks_permission(error):
        return "scope"
    if "inconsistent with the token" in text or "secret" in text or error.code in _APP_CODES:
        return "app"
    if isinstance(error, CredentialsError):
        return "token"
    return "account" if isinstance(error, AdvertiserError) else "other"


def explain_missing_permission(path: str) -> tuple[str, str]:
    """Return the fault and the fix for an endpoint that is refused because the token lacks its permission."""
    permission = _PERMISSIONS.get(path, REPORT.permission)  # only reports have another path in v1.2
    return f"the token lacks the permission for {path}", (
        f"Select {permission} on the app's page, and once it is approved run `tiktok-assets auth` again:"
        " an existing token does not gain it."
    )


def explain_retry(error: TikTokError) -> str:
    """Return the fix for a rate limit or a banned address, and when the request may work again."""
    if isinstance(error, DailyQuotaError | BannedError):
        return suggest_fix(error)
    return f"{RETRY_LATER_FIX} {describe_retry_delay(error)}".rstrip()


@dataclass(slots=True)
class CheckResult:
    """The result of one check.

    Attributes:
        check: a key of `CHECKS`.
        description: the sentence that is true if the check is ok.
        state: `ok`, `fault`, `not set` (the settings configure nothing to check) or `not checked`.
        fault: what is wrong.
        fix: what to do about it.
    """

    check: str
    description: str
    state: CheckState = "not checked"
    fault: str = ""
    fix: str = ""

    def __str__(self) -> str:
        text = f"{self.fault.rstrip('.')}. {self.fix}".strip() if self.state == "fault" else self.description
        return f"{self.state:<11}  {text}"


class CheckReport:
    """The results of all checks; a fault of a check is never replaced by ok."""

    def __init__(self) -> None:
        self._results = {check: CheckResult(check, description) for check, description in CHECKS.items()}

    def set_ok(self, *checks: str) -> None:
        """Set checks to ok, unless they have another result already."""
        for check in checks:
            if self._results[check].state == "not checked":
                self._results[check].state = "ok"

    def set_not_set(self, check: str) -> None:
        """Record that the settings configure nothing for this check."""
        self._results[check].state = "not set"

    def add_fault(self, check: str, fault: str, fix: str = "") -> None:
        """Record a fault of a check; faults with the same fix are joined, others after the first are dropped."""
        result = self._results[check]
        if result.state != "fault":
            result.state, result.fault, result.fix = "fault", fault, fix
        elif fix == result.fix and fault not in result.fault:
            result.fault += f"; {fault}"

    def is_faulty(self, check: str) -> bool:
        """Return whether the check has a fault."""
        return self._results[check].state == "fault"

    @property
    def results(self) -> list[CheckResult]:
        """All results, in the order of `CHECKS`."""
        return list(self._results.values())

    @property
    def faulty_checks(self) -> list[str]:
        """The names of the checks with a fault."""
        return [result.check for result in self.results if result.state == "fault"]

    def to_rows(self) -> list[dict[str, str]]:
        """Return the results for JSON; its keys are part of the command's interface."""
        return [
            {
                "check": result.check,
                "means": result.description,
                "state": result.state,
                "fault": result.fault,
                "mend": result.fix,
            }
            for result in self.results
        ]


@dataclass(frozen=True, slots=True, eq=False)
class ReadProbe:
    """A request that shows whether an endpoint can be read.

    Attributes:
        check: the check that it belongs to.
        send: sends the request for an advertiser id.
    """

    check: str
    send: Callable[[str], object]


def build_read_probes(reader: Reader, settings: Settings, advertiser_id: str) -> list[ReadProbe]:
    """Return one probe for each endpoint of an account's tables, except that of account details.

    An endpoint that the app may lack has a probe only if the account's stored campaigns need it.
    """
    report = (settings.chosen_reports or REPORTS)[0]
    day = None if report.cadence == "lifetime" else reader.now().date() - timedelta(1)

    def _count_report_rows(advertiser_id: str) -> int:
        # The request has neither currency nor time zone, so any will do.
        return count_report(reader, report, Account(advertiser_id, "USD", "UTC"), day)

    store = HiveStore(settings.data_dir)
    entities = [
        one
        for one in LISTED_ENTITIES
        if (settings.api_version == "v1.3" or not one.endpoint.is_optional)
        and meets_condition(store, one.condition, advertiser_id)
    ]
    lists = [ReadProbe("entities", partial(count_entities, reader, entity)) for entity in entities]
    return [*lists, ReadProbe("reports", _count_report_rows)]


def check_folders(report: CheckReport, settings: Settings) -> None:
    """Check that tables and state can be written, by writing and deleting a file in each folder."""
    try:
        HiveStore(settings.data_dir).check_writable()
    except Exception as error:  # noqa: BLE001 - the drivers of object stores raise errors of their own
        report.add_fault("store", str(error))
    for folder, variable in ((settings.state_dir, "TIKTOK_STATE_DIR"), (settings.dagster_home, "DAGSTER_HOME")):
        try:
            if folder == settings.state_dir:
                create_private_folder(folder)
            _write_probe_file(folder)
        except OSError as error:
            fix = f"Make the folder writable or set {variable} to another folder."
            report.add_fault("state", f"cannot write to {folder}: {error.strerror or error}", fix)
    report.set_ok("store", "state")


def _write_probe_file(folder: Path | None) -> None:
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f"{uuid4().hex}.probe"
        probe.write_bytes(b"")
        probe.unlink()


def check_schedule(report: CheckReport, settings: Settings) -> None:
    """Compare the refresh cron with the duration of recorded refreshes; without any, the check is not made."""
    if not (settings.instance_dir / "dagster.yaml").exists():
        return
    # Dagster takes a second to import; without an instance there is no need to.
    from tiktok_assets.defs import explain_short_cron, measure_usual_refresh  # noqa: PLC0415
    from tiktok_assets.instance import open_instance  # noqa: PLC0415

    try:
        with open_instance(settings) as instance:
            if measure_usual_refresh(instance, settings) is None:
                return
            fault = explain_short_cron(instance, settings, datetime.now(UTC))
    except Exception as error:  # noqa: BLE001 - the storage of the instance raises errors of its own
        fix = f"Check the storage configured in {settings.instance_dir / 'dagster.yaml'}."
        report.add_fault("schedule", f"the runs of Dagster cannot be read ({type(error).__name__})", fix)
        return
    if fault:
        default = Settings.model_fields["refresh_cron"].default
        report.add_fault(
            "schedule", f"{fault}: ticks in between are skipped", f"Choose a longer interval, such as {default!r}."
        )
    report.set_ok("schedule")


def check_destinations(report: CheckReport, settings: Settings) -> None:
    """Check that each destination can be opened and says what was published; nothing is published."""
    if not settings.destinations:
        report.set_not_set("destinations")
        return
    from tiktok_assets.publish import DestinationError, open_destination  # noqa: PLC0415 - their drivers are slow

    for name in settings.destinations:
        try:
            with closing(open_destination(name, settings)) as destination:
                destination.read_ledger()
        except DestinationError as error:
            report.add_fault("destinations", str(error))
    report.set_ok("destinations")


def check_alert_channels(report: CheckReport, settings: Settings) -> None:
    """Check that Apprise supports each URL, without sending; a fault names a URL by position, as it is secret."""
    if not settings.alert_urls:
        report.set_not_set("alerts")
    else:
        from tiktok_assets.alerts import is_supported_url  # noqa: PLC0415 - Apprise is slow to import

        unsupported = [
            str(position)
            for position, url in enumerate(settings.alert_urls, 1)
            if not is_supported_url(url.get_secret_value())
        ]
        if unsupported:
            urls = f"URL{'s' if len(unsupported) > 1 else ''} {', '.join(unsupported)} of TIKTOK_ALERT_URLS"
            fix = "Write it as Apprise's page about the service says; write a comma in it as %2C."
            report.add_fault("alerts", f"Apprise does not support {urls}", fix)
    report.set_ok("alerts")


def check_scaling_campaigns(
    report: CheckReport, fetcher: Fetcher, campaigns: Mapping[str, str], readable: Iterable[str]
) -> None:
    """Check that each scaling campaign exists, with one request for each.

    Args:
        report: receives the result.
        fetcher: sends the requests.
        campaigns: the campaign id of each advertiser id.
        readable: the advertiser ids that can be read.
    """
    if not campaigns:
        report.set_not_set("scaling")
    faults: list[str] = []
    for advertiser_id, campaign_id in campaigns.items():
        if advertiser_id not in readable:
            faults.append(f"account {advertiser_id} cannot be read")
            continue
        try:
            rows = list_objects(fetcher, CAMPAIGNS, advertiser_id, {"campaign_ids": [campaign_id]})
        except TikTokError as error:
            report.add_fault("scaling", str(error), suggest_fix(error))
            return
        if not rows:
            faults.append(f"account {advertiser_id} has no campaign {campaign_id}")
        elif is_deleted(rows[0]):
            faults.append(f"campaign {campaign_id} is deleted")
    if faults:
        report.add_fault("scaling", "; ".join(faults), "Correct TIKTOK_SCALING_CAMPAIGNS.")
    report.set_ok("scaling")


def check_identities(report: CheckReport, session: Session, readable: Iterable[str]) -> None:
    """Check that identities can be read for duplications and that configured ones can post.

    Args:
        report: receives the result.
        session: an open session; one list of identities is read for each account.
        readable: the advertiser ids that can be read.
    """
    identities = parse_identities(session.settings.scaling_identities)
    advertiser_ids = sorted({*identities, *session.settings.scaling_campaigns} & set(readable))
    if not advertiser_ids:
        report.set_not_set("copies")
    faults: list[str] = []
    for advertiser_id in advertiser_ids:
        identity = identities.get(advertiser_id)
        try:
            status = session.read_identity_status(advertiser_id, identity or Identity("TT_USER", ""))
        except AdvertiserError as error:  # the account itself can be read, so the permission is missing
            report.add_fault("copies", *explain_missing_permission(error.endpoint))
            return
        except TikTokError as error:
            report.add_fault("copies", str(error), suggest_fix(error))
            return
        if identity and not (status and status.is_available and status.can_push and not status.is_political):
            faults.append(f"account {advertiser_id} has no identity {identity.identity_id} that can post")
    if faults:
        report.add_fault("copies", "; ".join(faults), "Correct TIKTOK_SCALING_IDENTITY, or let the account post.")
    report.set_ok("copies")
