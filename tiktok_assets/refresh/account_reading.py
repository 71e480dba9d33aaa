"""The accounts and their details, from the API."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from tiktok_assets.api.client import Tally
from tiktok_assets.api.errors import (
    AdvertiserError,
    ContractError,
    CredentialsError,
)
from tiktok_assets.api.plan import batches_of
from tiktok_assets.refresh.account_changes import AccountChange
from tiktok_assets.refresh.outcome import Story
from tiktok_assets.refresh.reader import Reader
from tiktok_assets.refusals import why_broken
from tiktok_assets.row_checks import shown
from tiktok_assets.spec.endpoints import ADVERTISER_INFO, ADVERTISER_LIST
from tiktok_assets.spec.entities import ADVERTISERS
from tiktok_assets.tables import entity_frame
from tiktok_assets.values import advertiser_identifier


@dataclass(frozen=True, slots=True)
class AccountsRead:
    """The accounts that answered, as rows of `advertisers`, and the errors of those that did not.

    `lost` are accounts known from before that nobody asked for, because they are granted no longer. `changes` are
    the time zones and currencies that were others at the reading before, and `earlier_changes` those of before it.
    """

    frame: pl.DataFrame
    refused: dict[str, AdvertiserError]
    lost: dict[str, str]
    story: Story
    fetched_at: datetime
    changes: list[AccountChange] = field(default_factory=list)
    earlier_changes: list[AccountChange] = field(default_factory=list)


def listed_advertisers(reader: Reader, app_id: str | None, app_secret: str | None) -> list[str]:
    """The ids of all accounts granted to the app, as of now.

    The list handed out with the token is a snapshot; only this endpoint knows accounts shared later.

    Raises:
        CredentialsError: if app id or secret are missing.
        TikTokError: whatever the request raised.
    """
    if not app_id or not app_secret:
        raise CredentialsError(
            "the accounts cannot be listed: set TIKTOK_APP_ID and TIKTOK_APP_SECRET and run `tiktok-assets auth`,"
            " or name the accounts in TIKTOK_ADVERTISER_IDS"
        )
    try:
        answer = reader.fetcher.ask(ADVERTISER_LIST, {"app_id": app_id, "secret": app_secret}, Tally())
    except AdvertiserError as error:
        # No account is asked for here: 40001 then means that app, secret and token do not belong together.
        raise CredentialsError(
            f"app and token do not fit: check TIKTOK_APP_ID and TIKTOK_APP_SECRET. {error}"
        ) from error
    rows = answer.data.get("list")
    ids = [_account_of(row) for row in rows] if isinstance(rows, list) else []
    if not isinstance(rows, list) or (rows and not any(ids)):
        first = rows[0].get("advertiser_id") if isinstance(rows, list) and isinstance(rows[0], dict) else rows
        raise ContractError(
            f"the list of accounts has no ids: {shown(first)} is no advertiser id",
            endpoint=ADVERTISER_LIST.path,
            request_id=answer.request_id,
        )
    return [one for one in ids if one]  # one that cannot be read is missing, and the check of the accounts says so


def _account_of(row: object) -> str:
    """The account a row is of; "" where it does not say so."""
    try:
        return advertiser_identifier(row["advertiser_id"]) if isinstance(row, dict) else ""
    except (KeyError, TypeError, ValueError):
        return ""


def read_accounts(reader: Reader, advertiser_ids: Sequence[str]) -> AccountsRead:
    """The accounts' details, a hundred a request; one that may not be read does not hide the others.

    Raises:
        TikTokError: if the request fails for another reason than one account.
    """
    tally, refused = Tally(), dict[str, AdvertiserError]()
    began = time.monotonic()
    rows = [row for batch in batches_of(advertiser_ids) for row in _details(reader, batch, tally, refused)]
    fetched_at = reader.now()
    frame = entity_frame(
        ADVERTISERS,
        [row for row, _ in rows],
        fetched_at,
        unknown_fields=tally.unknown_fields,
        owners=[owner for _, owner in rows],
    )
    if broken := why_broken(frame, ["advertiser_id"]):
        raise ContractError(broken, endpoint=ADVERTISER_INFO.path)
    answered = set(frame.get_column("advertiser_id"))
    for missing in [one for one in advertiser_ids if one not in answered and one not in refused]:
        refused[missing] = AdvertiserError("not among the answers", endpoint=ADVERTISER_INFO.path)
    return AccountsRead(
        frame.sort("advertiser_id"),
        refused,
        {},
        Story.of(tally, time.monotonic() - began),
        fetched_at,
    )


def _details(
    reader: Reader, batch: Sequence[str], tally: Tally, refused: dict[str, AdvertiserError]
) -> list[tuple[dict[str, Any], str]]:
    """The rows of a batch, each with the account it must be of where it does not say so itself.

    One account without grant fails the whole call, so the batch is halved to find it.
    """
    try:
        answer = reader.fetcher.ask(ADVERTISER_INFO, {"advertiser_ids": list(batch)}, tally)
    except AdvertiserError as error:
        if len(batch) == 1:
            refused[batch[0]] = error
            return []
        middle = len(batch) // 2
        return _details(reader, batch[:middle], tally, refused) + _details(reader, batch[middle:], tally, refused)
    rows = answer.data.get("list")
    if not isinstance(rows, list):
        raise ContractError(
            "list is not one of objects", endpoint=ADVERTISER_INFO.path, request_id=answer.request_id
        )
    told = {repr(row): row for row in rows if isinstance(row, dict)}.values()  # a row may come twice
    named = [(row, owner) for row in told if (owner := _account_of(row))]
    nameless = [row for row in told if not _account_of(row)]
    if nameless and not named:
        raise ContractError(
            "no row has an advertiser_id", endpoint=ADVERTISER_INFO.path, request_id=answer.request_id
        )
    silent = sorted(set(batch) - {owner for _, owner in named})
    if len(nameless) == len(silent) == 1:  # whose it is can be told from the question
        named.append((nameless[0], silent[0]))
    return named
