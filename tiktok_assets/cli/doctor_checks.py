"""Define the checks of the `doctor` command and record their results."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from tiktok_assets.api.creatives import Identity
from tiktok_assets.api.errors import (
    AdvertiserError,
    BannedError,
    CredentialsError,
    DailyQuotaError,
    ThrottledError,
    TikTokError,
    describe_retry_delay,
    suggest_fix,
)
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.api.writes import list_objects
from tiktok_assets.duplication.ad_formats import parse_identities
from tiktok_assets.duplication.snapshot import is_deleted
from tiktok_assets.file_permissions import create_private_folder
from tiktok_assets.ingest.estimates import count_entities, count_report
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec.endpoints import DUPLICATION_READS, ENDPOINTS, REPORT
from tiktok_assets.spec.entities import CAMPAIGNS, LISTED_ENTITIES
from tiktok_assets.storage.hive_store import HiveStore
from tiktok_assets.tables.account_calendar import Account

CheckState = Literal["ok", "fault", "not set", "not checked"]
ErrorCause = Literal["token", "app", "restricted", "scope", "account", "other"]

CHECKS = {
    "settings": "the settings can be used",
    "store": "the tables can be written",
    "state": "the state folder can be written",
    "alerts": "Apprise understands every URL of TIKTOK_ALERT_URLS",
    "schedule": "TIKTOK_REFRESH_CRON leaves a refresh the time the last ones took",
    "token": "there is a token",
    "host": "the host is reached and is a TikTok API",
    "clock": "this machine's clock agrees with the host's",
    "unrestricted": "TikTok lets the app ask",
    "accepted": "the token is accepted",
    "app": "app id, app secret and token belong together",
    "accounts": "accounts are granted",
    "pinned": "every account named in TIKTOK_ADVERTISER_IDS is granted",
    "entities": "campaigns, ad groups and ads can be read",
    "reports": "reports can be read",
    "details": "time zone and currency of each account are known",
    "scaling": "every campaign of TIKTOK_SCALING_CAMPAIGNS is there",
    "copies": "identities can be looked up for copies, and those of TIKTOK_SCALING_IDENTITY can post",
}
"""The checks in the order they are told; each as the sentence that is true when it is well."""

_SCOPE_CODES = frozenset({40130, 40131})
_APP_CODES = frozenset({40101, 40113, 40119, 40124, 40125})


def classify_error(error: TikTokError) -> ErrorCause:
    """What an answer complains of; 40001 is told apart by its text (dossier 3.2, 3.3)."""
    text = str(error).lower()
    if isinstance(error, ThrottledError | BannedError):
        return "restricted"
    if "scope" in text or error.code in _SCOPE_CODES:
        return "scope"
    if "inconsistent with the token" in text or "secret" in text or error.code in _APP_CODES:
        return "app"
    if isinstance(error, CredentialsError):
        return "token"
    return "account" if isinstance(error, AdvertiserError) else "other"


@dataclass(slots=True)
class CheckResult:
    """What became of one check."""

    check: str
    means: str
    state: CheckState = "not checked"
    fault: str = ""
    mend: str = ""

    def __str__(self) -> str:
        told = f"{self.fault.rstrip('.')}. {self.mend}".strip() if self.state == "fault" else self.means
        return f"{self.state:<11}  {told}"


class CheckReport:
    """The findings so far; a check that was found faulty stays so."""

    def __init__(self) -> None:
        self._findings = {check: CheckResult(check, means) for check, means in CHECKS.items()}

    def well(self, *checks: str) -> None:
        """Nothing is wrong with these, unless it was found before."""
        for check in checks:
            if self._findings[check].state == "not checked":
                self._findings[check].state = "ok"

    def unset(self, check: str) -> None:
        """Note that the settings name nothing this check is about."""
        self._findings[check].state = "not set"

    def fault(self, check: str, fault: str, mend: str = "") -> None:
        """Note that something is wrong; those of a check that share a mend are all told."""
        finding = self._findings[check]
        if finding.state != "fault":
            finding.state, finding.fault, finding.mend = "fault", fault, mend
        elif mend == finding.mend and fault not in finding.fault:
            finding.fault += f"; {fault}"

    def is_faulty(self, check: str) -> bool:
        """Whether a fault was found."""
        return self._findings[check].state == "fault"

    @property
    def findings(self) -> list[CheckResult]:
        """All of them, in order."""
        return list(self._findings.values())

    @property
    def faults(self) -> list[str]:
        """The names of the faulty checks."""
        return [finding.check for finding in self.findings if finding.state == "fault"]

    def as_rows(self) -> list[dict[str, Any]]:
        """The findings for a program."""
        return [asdict(finding) for finding in self.findings]


_PERMISSIONS = {endpoint.path: endpoint.permission for endpoint in (*ENDPOINTS, *DUPLICATION_READS)}

RETRY_LATER_FIX = "Wait a few minutes; if it stays, ask TikTok's support, or set TIKTOK_API_TIER or TIKTOK_QPS."


@dataclass(frozen=True, slots=True, eq=False)
class ReadProbe:
    """One request that shows whether an endpoint can be read, and the check it belongs to."""

    check: str
    ask: Callable[[str], object]


def build_read_probes(reader: Reader, settings: Settings) -> list[ReadProbe]:
    """Make one question for each endpoint the tables need, apart from the accounts' own details."""
    report = settings.chosen_reports[0]
    day = None if report.cadence == "lifetime" else reader.now().date() - timedelta(1)
    lists = [ReadProbe("entities", partial(count_entities, reader, entity)) for entity in LISTED_ENTITIES]
    # Neither currency nor zone is part of the question.
    return [
        *lists,
        ReadProbe("reports", lambda owner: count_report(reader, report, Account(owner, "USD", "UTC"), day)),
    ]


def explain_missing_permission(path: str) -> tuple[str, str]:
    """Name an endpoint that is refused with its permission, and say how to ask for it."""
    permission = _PERMISSIONS.get(path, REPORT.permission)  # v1.2 has another path for reports alone
    return f"the token lacks the permission for {path}", (
        f"Tick {permission} on the app's page, and once it is approved run `tiktok-assets auth` again:"
        " an older token does not gain it."
    )


def explain_retry(error: TikTokError) -> str:
    """Say what to do about a refusal for speed or of the address, and when the same may work again."""
    if isinstance(error, DailyQuotaError | BannedError):
        return suggest_fix(error)
    return f"{RETRY_LATER_FIX} {describe_retry_delay(error)}".rstrip()


def check_folders(chart: CheckReport, settings: Settings) -> None:
    """Write a file into each folder and remove it."""
    try:
        HiveStore(settings.data_dir).check_writable()
    except Exception as error:  # noqa: BLE001 - the driver of an object store raises what it likes
        chart.fault("store", str(error))
    for folder, variable in ((settings.state_dir, "TIKTOK_STATE_DIR"), (settings.dagster_home, "DAGSTER_HOME")):
        try:
            if folder == settings.state_dir:
                create_private_folder(folder)
            _check_writable(folder)
        except OSError as error:
            mend = f"Make the folder writable or point {variable} elsewhere."
            chart.fault("state", f"cannot write to {folder}: {error.strerror or error}", mend)
    chart.well("store", "state")


def _check_writable(folder: Path | None) -> None:
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f"{uuid4().hex}.probe"
        probe.write_bytes(b"")
        probe.unlink()


_SCHEDULE_CHECK = "schedule"


def check_schedule(chart: CheckReport, settings: Settings) -> None:
    """Hold the cron against the refreshes Dagster has recorded; without any there is nothing to say."""
    if not (settings.instance_dir / "dagster.yaml").exists():
        return
    # Dagster takes a second to load, which nobody needs to wait for who never ran it.
    from tiktok_assets.defs.schedules import explain_short_cron, measure_usual_refresh  # noqa: PLC0415
    from tiktok_assets.instance import open_instance  # noqa: PLC0415

    try:
        with open_instance(settings) as instance:
            if measure_usual_refresh(instance) is None:
                return
            fault = explain_short_cron(instance, settings.refresh_cron, datetime.now(UTC))
    except Exception as error:  # noqa: BLE001 - whatever the storage of the instance raises
        mend = f"Check the storage that {settings.instance_dir / 'dagster.yaml'} names."
        chart.fault(_SCHEDULE_CHECK, f"the runs of Dagster cannot be read ({type(error).__name__})", mend)
        return
    if fault:
        default = Settings.model_fields["refresh_cron"].default
        chart.fault(
            _SCHEDULE_CHECK, f"{fault}: ticks between are skipped", f"Choose a longer one, such as {default!r}."
        )
    chart.well(_SCHEDULE_CHECK)


def check_alert_channels(chart: CheckReport, settings: Settings) -> None:
    """Whether Apprise knows what to do with each URL; nothing is sent, and a URL is named by its place."""
    if not settings.alert_urls:
        chart.unset("alerts")
    else:
        from tiktok_assets.alerts.channels import is_supported_url  # noqa: PLC0415 - Apprise takes its time

        wrong = [
            str(place)
            for place, url in enumerate(settings.alert_urls, 1)
            if not is_supported_url(url.get_secret_value())
        ]
        if wrong:
            which = f"URL{'s' if len(wrong) > 1 else ''} {', '.join(wrong)} of TIKTOK_ALERT_URLS"
            mend = "Write it as Apprise's page of the service says; a comma within it is %2C."
            chart.fault("alerts", f"Apprise does not understand {which}", mend)
    chart.well("alerts")


def check_scaling_campaigns(
    chart: CheckReport, fetcher: Fetcher, campaigns: Mapping[str, str], granted: Iterable[str]
) -> None:
    """Whether each scaling campaign is there, in an account that can be read; a request for each."""
    if not campaigns:
        chart.unset("scaling")
    wrong: list[str] = []
    for advertiser_id, campaign_id in campaigns.items():
        if advertiser_id not in granted:
            wrong.append(f"account {advertiser_id} is not among those that can be read")
            continue
        try:
            rows = list_objects(fetcher, CAMPAIGNS, advertiser_id, {"campaign_ids": [campaign_id]})
        except TikTokError as error:
            chart.fault("scaling", str(error), suggest_fix(error))
            return
        if not rows:
            wrong.append(f"account {advertiser_id} has no campaign {campaign_id}")
        elif is_deleted(rows[0]):
            wrong.append(f"campaign {campaign_id} is deleted")
    if wrong:
        chart.fault("scaling", "; ".join(wrong), "Correct TIKTOK_SCALING_CAMPAIGNS.")
    chart.well("scaling")


def check_identities(chart: CheckReport, session: Session, granted: Iterable[str]) -> None:
    """Check that copies can look up identities, and that those of the settings can post; one list an account."""
    chosen = parse_identities(session.settings.scaling_identities)
    owners = sorted({*chosen, *session.settings.scaling_campaigns} & set(granted))
    if not owners:
        chart.unset("copies")
    wrong: list[str] = []
    for owner in owners:
        identity = chosen.get(owner)
        try:
            able = session.abilities_of(owner, identity or Identity("TT_USER", ""))
        except AdvertiserError as error:  # the account can be read, so it is the permission
            chart.fault("copies", *explain_missing_permission(error.endpoint))
            return
        except TikTokError as error:
            chart.fault("copies", str(error), suggest_fix(error))
            return
        if identity and not (able and able.is_available and able.can_push and not able.is_political):
            wrong.append(f"account {owner} has no identity {identity.identity_id} that can post")
    if wrong:
        chart.fault("copies", "; ".join(wrong), "Correct TIKTOK_SCALING_IDENTITY, or let that account post.")
    chart.well("copies")
