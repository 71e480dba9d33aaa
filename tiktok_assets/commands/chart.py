"""The checks of `doctor` and what became of each: well, faulty with its mend, or not possible yet."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from tiktok_assets.api.errors import AdvertiserError, BannedError, CredentialsError, ThrottledError, TikTokError

State = Literal["ok", "fault", "not set", "not checked"]
Cause = Literal["token", "app", "restricted", "scope", "account", "other"]

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


def cause_of(error: TikTokError) -> Cause:
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
class Finding:
    """What became of one check."""

    check: str
    means: str
    state: State = "not checked"
    fault: str = ""
    mend: str = ""

    def __str__(self) -> str:
        told = f"{self.fault.rstrip('.')}. {self.mend}".strip() if self.state == "fault" else self.means
        return f"{self.state:<11}  {told}"


class Chart:
    """The findings so far; a check that was found faulty stays so."""

    def __init__(self) -> None:
        self._findings = {check: Finding(check, means) for check, means in CHECKS.items()}

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
    def findings(self) -> list[Finding]:
        """All of them, in order."""
        return list(self._findings.values())

    @property
    def faults(self) -> list[str]:
        """The names of the faulty checks."""
        return [finding.check for finding in self.findings if finding.state == "fault"]

    def as_rows(self) -> list[dict[str, Any]]:
        """The findings for a program."""
        return [asdict(finding) for finding in self.findings]
