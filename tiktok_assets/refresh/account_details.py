"""The details of accounts: from the API, and from the settings on a host that has no such endpoint."""

from collections.abc import Iterable, Mapping, Sequence

from tiktok_assets.api.errors import NotOfferedError
from tiktok_assets.refresh.outcome import NOTHING_ASKED
from tiktok_assets.refresh.reading import AccountsRead, Reader, read_accounts
from tiktok_assets.spec.entities import ADVERTISERS
from tiktok_assets.tables import entity_frame


def accounts_read(
    reader: Reader,
    advertiser_ids: Sequence[str],
    timezones: Mapping[str, str],
    currencies: Mapping[str, str],
) -> AccountsRead:
    """Read the accounts' details; on a host that tells none, take what the settings tell.

    Args:
        reader: what reads.
        advertiser_ids: whose details.
        timezones: of the settings, by account.
        currencies: the same.

    Raises:
        NotOfferedError: if the host tells none, and the settings lack the time zone or currency of one.
        TikTokError: if the request fails for another reason than one account.
    """
    try:
        return read_accounts(reader, advertiser_ids)
    except NotOfferedError:
        if not set(advertiser_ids) <= timezones.keys() & currencies.keys():
            raise
    rows = [
        {"advertiser_id": one, "display_timezone": timezones[one], "currency": currencies[one]}
        for one in advertiser_ids
    ]
    now = reader.now()
    frame = entity_frame(ADVERTISERS, rows, now, unknown_fields=set())
    return AccountsRead(frame.sort("advertiser_id"), {}, {}, NOTHING_ASKED, now)


def not_offered_in_words(paths: Iterable[str]) -> str:
    """Say in one sentence what a host does not have, and what is done without it."""
    names = sorted(path.strip("/") for path in paths)
    others = [name for name in names if name != ADVERTISERS.endpoint.path.strip("/")]
    known = "time zone and currency of its accounts are those of the settings"
    rest = f", and what {' and '.join(others)} would tell is not stored" if others else ""
    return f"this host does not offer {', '.join(names)}, as TikTok's own sandbox does not: {known}{rest}"
