"""Issue and check the approvals that allow a live duplication to begin; each is used once and recorded.

A code is an HMAC over the alert, the duplication it allows and its expiry. The key is generated once and stored in
the state database, so all hosts that share it accept the same codes. The approval record stores the code's hash;
the code itself is only in the outbox until its alert is delivered.
"""

import hmac
import json
import secrets
from base64 import b32encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final, Literal

import sqlalchemy as sa

from tiktok_assets.duplication.models import DuplicationRequest
from tiktok_assets.storage.state import approvals, secret_keys, wrong_codes

BY_CODE: Final = "code"
BY_TERMINAL: Final = "terminal"
BY_YES_OPTION: Final = "yes"
BY_EXECUTE_MODE: Final = "execute"
ApprovalMethod = Literal["code", "terminal", "yes", "execute"]
"""By a code of an alert, an answer on a terminal, the option --yes, or the sensor of the mode `execute`."""

CODE_LIFETIME = timedelta(days=7)
MIN_RUN_CODE_LIFETIME = timedelta(hours=6)
"""How long a code is good that the sensor of the mode `execute` puts into the run it asks for, at the least."""

MAX_WRONG_CODES, WRONG_CODE_WINDOW = 20, timedelta(hours=1)
"""After so many codes that were never issued none is looked at for the rest of that time."""

_KEY = "approval codes"
_CODE_BYTES = 15  # 120 bits, 24 characters
_GROUP = 6
_LONGEST = 100  # characters of what is presented as a code
_MISREAD = str.maketrans("018", "OIB")  # base32 has no such digits
_OPTIONS = {"advertiser_id": "advertiser", "ad_id": "ad", "campaign_id": "to", "ad_group_id": "ad-group"}
_BOUND = (*_OPTIONS, "budget", "again")


class NotApprovedError(Exception):
    """A live duplication was not approved and nothing was sent; one sentence says how to approve it."""


@dataclass(frozen=True, slots=True)
class Approval:
    """What a launch brings with it to be allowed to begin a duplication.

    Attributes:
        by: who launches, as the state shall record it.
        how: by which means it is approved; None for a launch that may only finish what was begun.
        code: the alert's or the sensor's, where `how` is `code`; kept out of every representation.
        may_enable: whether the settings allow what is made to be switched on.
        may_execute: whether the settings allow duplications that no person approved.
    """

    by: str = ""
    how: ApprovalMethod | None = None
    code: str = field(default="", repr=False)
    may_enable: bool = False
    may_execute: bool = False


NO_APPROVAL = Approval()


@dataclass(frozen=True, slots=True)
class ApprovalCode:
    """A code as it was issued.

    Attributes:
        text: in groups, as a person reads it.
        expires_at: aware.
    """

    text: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of an approval: a refusal, or what the ledger records of it."""

    refusal: str = ""
    recorded: Mapping[str, Any] = field(default_factory=dict)


def issue_code(connection: sa.Connection, wish: DuplicationRequest, alert_id: str, now: datetime) -> ApprovalCode:
    """Issue a code for a duplication within the caller's transaction.

    Args:
        connection: of `State.transaction()`.
        wish: what the code allows; whether it is switched on is not part of it.
        alert_id: of the alert that carries it.
        now: by this machine's clock.
    """
    return _issue(connection, wish, alert_id, now, now + CODE_LIFETIME)


def _issue(
    connection: sa.Connection, wish: DuplicationRequest, alert_id: str, now: datetime, expires_at: datetime
) -> ApprovalCode:
    code = _code(_key(connection), alert_id, wish, expires_at)
    row = {"alert_id": alert_id, "issued_at": now, "expires_at": expires_at, **_bound(wish)}
    if not _found(connection, _hash(code)):
        connection.execute(sa.insert(approvals).values(approval_id=_hash(code), **row))
    return ApprovalCode(
        "-".join(code[start : start + _GROUP] for start in range(0, len(code), _GROUP)), expires_at
    )


def issue_run_code(connection: sa.Connection, wish: DuplicationRequest, now: datetime) -> ApprovalCode:
    """Issue the code of a run that the mode `execute` asks for, within the caller's transaction.

    Within one hour it is the same code: a sensor may be evaluated again before its run is launched.

    Args:
        connection: of `State.transaction()`.
        wish: what the run may duplicate, switched off.
        now: by this machine's clock.
    """
    hour = now.replace(minute=0, second=0, microsecond=0)
    return _issue(connection, wish, BY_EXECUTE_MODE, now, hour + timedelta(hours=1) + MIN_RUN_CODE_LIFETIME)


def decide_approval(
    connection: sa.Connection, wish: DuplicationRequest, approval: Approval, now: datetime
) -> Decision:
    """Decide whether a duplication may begin, and mark what allows it as used, in the caller's transaction.

    A refusal is returned and not raised, so that a wrong code is counted.
    """
    if wish.enable and not approval.may_enable:
        return Decision(ENABLE_NOT_ALLOWED)
    if approval.how in {BY_TERMINAL, BY_YES_OPTION}:
        return _approved(approval, now)
    if approval.how != BY_CODE:
        return Decision(f"a live duplication needs the approval code of its alert; {_how_to_approve(wish)}")
    return _by_code(connection, wish, approval, now)


ENABLE_NOT_ALLOWED = (
    "switching on what is made needs TIKTOK_SCALING_ENABLE=allow in the environment or in .env; leave `enable` out"
    " to have it made switched off"
)


def _by_code(connection: sa.Connection, wish: DuplicationRequest, approval: Approval, now: datetime) -> Decision:
    since = now - WRONG_CODE_WINDOW
    connection.execute(sa.delete(wrong_codes).where(wrong_codes.c.at <= since))
    wrong = list(connection.scalars(sa.select(wrong_codes.c.at).order_by(wrong_codes.c.at)))
    if len(wrong) >= MAX_WRONG_CODES:
        return Decision(
            f"{len(wrong)} wrong approval codes were presented within an hour, so none is looked at before"
            f" {wrong[-MAX_WRONG_CODES] + WRONG_CODE_WINDOW:%H:%M} UTC; {_on_a_terminal(wish)}"
        )
    code = _plain(approval.code)
    row = _found(connection, _hash(code))
    if row is None:
        connection.execute(sa.insert(wrong_codes).values(at=now, by=approval.by))
        return Decision(
            "the approval code is none that was issued here; copy it whole from the alert, or"
            f" {_on_a_terminal(wish)}"
        )
    if row["expires_at"] <= now:
        return Decision(
            f"the approval code expired on {row['expires_at']:%Y-%m-%d %H:%M} UTC; {_on_a_terminal(wish)}"
        )
    return _by_issued(connection, wish, approval, now, row)


def _by_issued(
    connection: sa.Connection, wish: DuplicationRequest, approval: Approval, now: datetime, row: Mapping[str, Any]
) -> Decision:
    if row["alert_id"] == BY_EXECUTE_MODE and (wish.enable or not approval.may_execute):
        return Decision(
            "the code of a run in the mode `execute` is good in that mode only, and for a duplication that stays"
            f" switched off; {_on_a_terminal(wish)}"
        )
    if changed := _differences(row, wish):
        told = " and another ".join(_spelled(one) for one in changed)
        return Decision(
            f"the approval code is for another {told}; put back what the alert has, or for this one"
            f" {_on_a_terminal(wish)}"
        )
    expected = _code(_key(connection), row["alert_id"], wish, row["expires_at"])
    if not hmac.compare_digest(expected.encode(), _plain(approval.code).encode()):
        return Decision(f"the state's record of this approval code was changed; {_on_a_terminal(wish)}")
    return _used(connection, row, wish, approval, now)


def _used(
    connection: sa.Connection, row: Mapping[str, Any], wish: DuplicationRequest, approval: Approval, now: datetime
) -> Decision:
    """Use an approval; what it is bound to makes one key, so a second use can only be for the same duplication."""
    mine = sa.update(approvals).where(approvals.c.approval_id == row["approval_id"])
    if row["used_for"] is None:
        connection.execute(mine.values(used_for=wish.key, used_at=now, used_by=approval.by))
    how: ApprovalMethod = BY_EXECUTE_MODE if row["alert_id"] == BY_EXECUTE_MODE else BY_CODE
    return _approved(approval, now, str(row["approval_id"]), how)


def _approved(
    approval: Approval, now: datetime, approval_id: str | None = None, how: ApprovalMethod | None = None
) -> Decision:
    return Decision(
        recorded={
            "approved_how": how or approval.how,
            "approved_by": approval.by,
            "approved_at": now,
            "approval_id": approval_id,
        }
    )


def _how_to_approve(wish: DuplicationRequest) -> str:
    return f"open the alert's link that duplicates, or {_on_a_terminal(wish)}"


def _on_a_terminal(wish: DuplicationRequest) -> str:
    """Tell which command asks a person."""
    told = [f"duplicate {wish.ad_id} --to {wish.campaign_id} --advertiser {wish.advertiser_id}"]
    told += [f"--ad-group {wish.ad_group_id}"] if wish.ad_group_id else []
    told += [f"--budget {wish.budget:f}"] if wish.budget is not None else []
    told += [f"--again {wish.again}"] if wish.again else []
    return f"run `tiktok-assets {' '.join(told)} --live` on a terminal and answer there"


def _spelled(name: str) -> str:
    return name.removesuffix("_id").replace("_", " ") if name != "again" else "number of `again`"


def _differences(row: Mapping[str, Any], wish: DuplicationRequest) -> list[str]:
    """Name what an approval is bound to and the launch has otherwise."""
    wanted = _bound(wish)
    return [name for name in _BOUND if row[name] != wanted[name]]


def _bound(wish: DuplicationRequest) -> dict[str, Any]:
    return {name: getattr(wish, name) for name in _BOUND}


def _found(connection: sa.Connection, approval_id: str) -> dict[str, Any] | None:
    chosen = sa.select(approvals).where(approvals.c.approval_id == approval_id)
    row = connection.execute(chosen).mappings().first()
    return None if row is None else dict(row)


def _key(connection: sa.Connection) -> bytes:
    """Read the key, generated by whoever needs it first; transactions on the state come one after the other."""
    found = connection.scalar(sa.select(secret_keys.c.key).where(secret_keys.c.name == _KEY))
    if found is None:
        found = secrets.token_hex(32)
        connection.execute(sa.insert(secret_keys).values(name=_KEY, key=found))
    return bytes.fromhex(found)


def _code(key: bytes, alert_id: str, wish: DuplicationRequest, expires_at: datetime) -> str:
    bound = [_text(value) for value in _bound(wish).values()]
    told = json.dumps([alert_id, *bound, expires_at.isoformat(timespec="microseconds")])
    return b32encode(hmac.digest(key, told.encode(), sha256)[:_CODE_BYTES]).decode()


def _text(value: object) -> str | None:
    """Write a value in one way only: 50 and 50.00 are one budget."""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return None if value is None else str(value)


def _plain(text: str) -> str:
    """Read a code as a person may have copied it."""
    told = text[:_LONGEST].upper().translate(_MISREAD)
    return "".join(one for one in told if one.isascii() and one.isalnum())


def _hash(code: str) -> str:
    return sha256(code.encode()).hexdigest()
