"""Build the alert about asset checks that began to fail in one run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tiktok_assets.alerts.dagster_urls import build_asset_url, build_run_url
from tiktok_assets.alerts.formatters import Link, Message, RichText, UntrustedText, format_footer, format_instant
from tiktok_assets.alerts.outbox import Alert, build_alert
from tiktok_assets.settings import Settings

CHECK_FAILURE_KIND = "check_failure"
MAX_CHECK_REASON_LENGTH, MAX_LISTED_CHECKS = 200, 10
_FOOTER = "A check is reported again only after it has passed and fails anew."


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """An asset check that fails now, and that passed, only warned, or never ran before."""

    asset: str
    check: str
    severity: str
    reason: str
    failed_at: datetime


def build_check_failure_alert(run_id: str, checks: Sequence[FailedCheck], settings: Settings) -> Alert:
    """Build the alert about the checks that began to fail in a run; each run has one alert id.

    Args:
        run_id: of the run.
        checks: at least one.
        settings: the address of Dagster's web app.
    """
    alert_id = f"checks-{run_id}"
    first, count = checks[0], len(checks)
    title: RichText = (
        ("The check ", UntrustedText(first.check), " of ", UntrustedText(first.asset), f" {_choose_verb(first)}")
        if count == 1
        else f"{count} checks began to fail"
    )
    facts = tuple(_format_fact(check) for check in checks[:MAX_LISTED_CHECKS])
    more = f" {count - MAX_LISTED_CHECKS} more are on the run's page." if count > MAX_LISTED_CHECKS else ""
    message = Message(
        title=title,
        paragraphs=(f"Found by run {run_id} on {format_instant(first.failed_at)}.{more}",),
        facts=facts,
        links=(
            Link("Open the table's checks in Dagster", build_asset_url(settings, first.asset, view="checks")),
            Link("Open the run", build_run_url(settings, run_id)),
        ),
        footer=format_footer(alert_id, _FOOTER),
    )
    names = ("asset", "check", "severity", "reason")
    data = {"run_id": run_id, "checks": [{name: getattr(check, name) for name in names} for check in checks]}
    return build_alert(alert_id, CHECK_FAILURE_KIND, message, data)


def _format_fact(check: FailedCheck) -> tuple[str, RichText]:
    reason = UntrustedText(check.reason or "no reason given", MAX_CHECK_REASON_LENGTH)
    return f"{check.asset}, {check.check}", (f"{_choose_verb(check)}: ", reason)


def _choose_verb(check: FailedCheck) -> str:
    return "fails" if check.severity == "ERROR" else "warns"
