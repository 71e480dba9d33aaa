"""What `doctor` asks of each endpoint a refresh reads, and how a person asks TikTok for what is refused."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from tiktok_assets.api.errors import BannedError, RetryTomorrowError, TikTokError, mend_of, return_of
from tiktok_assets.days import Account
from tiktok_assets.refresh.counting import count_entities, count_report
from tiktok_assets.refresh.reading import Reader
from tiktok_assets.settings import Settings
from tiktok_assets.spec.endpoints import COPYING, ENDPOINTS, REPORT
from tiktok_assets.spec.entities import LISTED_ENTITIES

_PERMISSIONS = {endpoint.path: endpoint.permission for endpoint in (*ENDPOINTS, *COPYING)}

ASK_LATER = "Wait a few minutes; if it stays, ask TikTok's support, or set TIKTOK_API_TIER or TIKTOK_QPS."


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One request that shows whether an endpoint can be read, and the check it belongs to."""

    check: str
    ask: Callable[[str], object]


def questions_of(reader: Reader, settings: Settings) -> list[Question]:
    """Make one question for each endpoint the tables need, apart from the accounts' own details."""
    report = settings.chosen_reports[0]
    day = None if report.cadence == "lifetime" else reader.now().date() - timedelta(1)
    lists = [Question("entities", partial(count_entities, reader, entity)) for entity in LISTED_ENTITIES]
    # Neither currency nor zone is part of the question.
    return [
        *lists,
        Question("reports", lambda owner: count_report(reader, report, Account(owner, "USD", "UTC"), day)),
    ]


def permission_fault(path: str) -> tuple[str, str]:
    """Name an endpoint that is refused with its permission, and say how to ask for it."""
    permission = _PERMISSIONS.get(path, REPORT.permission)  # v1.2 has another path for reports alone
    return f"the token lacks the permission for {path}", (
        f"Tick {permission} on the app's page, and once it is approved run `tiktok-assets auth` again:"
        " an older token does not gain it."
    )


def when_to_return(error: TikTokError) -> str:
    """Say what to do about a refusal for speed or of the address, and when the same may work again."""
    if isinstance(error, RetryTomorrowError | BannedError):
        return mend_of(error)
    return f"{ASK_LATER} {return_of(error)}".rstrip()
