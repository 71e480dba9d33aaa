"""Issue and check the approvals that allow a live duplication to start; each is used once and recorded.

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
from tiktok_assets.storage import approvals, secret_keys, wrong_codes

BY_CODE: Final = "code"
BY_TERMINAL: Final = "terminal"
BY_YES_OPTION: Final = "yes"
BY_EXECUTE_MODE: Final = "execute"
ApprovalMethod = Literal["code", "terminal", "yes", "execute"]
"""By an alert's code, a prompt on a terminal, the option --yes, or the sensor of the mode `execute`."""

CODE_LIFETIME = timedelta(days=7)
MIN_RUN_CODE_LIFETIME = timedelta(hours=6)
"""The minimum lifetime of a code that the sensor of the mode `execute` puts into a run."""

MAX_WRONG_CODES, WRONG_CODE_WINDOW = 20, timedelta(hours=1)
"""After so many codes that were never issued, no code is accepted for the rest of that time."""

ENABLE_NOT_ALLOWED = (
    "switching on the copy needs TIKTOK_SCALING_ENABLE=allow in the environment or in .env; leave `enable` out to"
    " create it switched off"
)

_KEY_NAME = "approval codes"
_CODE_BYTES = 15  # 120 bits, 24 characters
_GROUP_LENGTH = 6
_MAX_INPUT_LENGTH = 100
_MISREAD_DIGITS = str.maketrans("018", "OIB")  # base32 has no such digits
_BOUND_FIELDS = ("advertiser_id", "ad_id", "campaign_id", "ad_group_id", "budget", "again")
"""The fields of the request that a code is bound to, in the order of the HMAC's input."""


class NotApprovedError(Exception):
    """A live duplication was not approved and nothing was sent; the message says how to approve it."""


@dataclass(frozen=True, slots=True)
class Approval:
    """What a launch presents in order to start a duplication.

    Attributes:
        approved_by: who launches, as recorded in the ledger.
        method: how it is approved; None for a launch that may only continue what was started.
        code: the code of the alert or of the sensor, where `method` is `code`; not part of `repr`.
        may_enable: whether the settings allow copies to be switched on.
        may_execute: whether the settings allow duplications without a person's approval.
    """

    approved_by: str = ""
    method: ApprovalMethod | None = None
    code: str = field(default="", repr=False)
    may_enable: bool = False
    may_execute: bool = False


NO_APPROVAL = Approval()


@dataclass(frozen=True, slots=True)
class ApprovalCode:
    """An issued code.

    Attributes:
        text: in groups, as people read it.
        expires_at: aware.
    """

    text: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """The result of checking an approval.

    Attributes:
        refusal: why it is refused; "" if it is accepted.
        columns: the columns that the ledger stores about it.
    """

    refusal: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)


def issue_code(
    connection: sa.Connection, request: DuplicationRequest, alert_id: str, now: datetime
) -> ApprovalCode:
    """Issue a code for a duplication in the caller's transaction.

    Args:
        connection: of `State.transaction()`.
        request: what the code allows; `enable` is not part of it.
        alert_id: of the alert that contains it.
        now: by this machine's clock.
    """
    return _issue_code(connection, request, alert_id, now, now + CODE_LIFETIME)


def _issue_code(
    connection: sa.Connection, request: DuplicationRequest, alert_id: str, now: datetime, expires_at: datetime
) -> ApprovalCode:
    code = _compute_code(_load_key(connection), alert_id, request, expires_at)
    row = {"alert_id": alert_id, "issued_at": now, "expires_at": expires_at, **_bound_values(request)}
    if not _find_approval(connection, _hash_code(code)):
        connection.execute(sa.insert(approvals).values(approval_id=_hash_code(code), **row))
    groups = (code[start : start + _GROUP_LENGTH] for start in range(0, len(code), _GROUP_LENGTH))
    return ApprovalCode("-".join(groups), expires_at)


def issue_run_code(connection: sa.Connection, request: DuplicationRequest, now: datetime) -> ApprovalCode:
    """Issue the code for a run requested in mode `execute`, in the caller's transaction.

    Within one hour it is the same code, because a sensor may be evaluated again before its run is launched.

    Args:
        connection: of `State.transaction()`.
        request: what the run may duplicate, switched off.
        now: by this machine's clock.
    """
    hour = now.replace(minute=0, second=0, microsecond=0)
    return _issue_code(
        connection, request, BY_EXECUTE_MODE, now, hour + timedelta(hours=1) + MIN_RUN_CODE_LIFETIME
    )


def decide_approval(
    connection: sa.Connection, request: DuplicationRequest, approval: Approval, now: datetime
) -> Decision:
    """Decide whether a duplication may start, and mark the approval as used, in the caller's transaction.

    A refusal is returned and not raised, so that the transaction commits and a wrong code is counted.
    """
    if request.enable and not approval.may_enable:
        return Decision(ENABLE_NOT_ALLOWED)
    if approval.method in {BY_TERMINAL, BY_YES_OPTION}:
        return _accept(approval, now)
    if approval.method != BY_CODE:
        return Decision(f"a live duplication needs the approval code of its alert; {_approval_advice(request)}")
    return _decide_by_code(connection, request, approval, now)


def _decide_by_code(
    connection: sa.Connection, request: DuplicationRequest, approval: Approval, now: datetime
) -> Decision:
    since = now - WRONG_CODE_WINDOW
    connection.execute(sa.delete(wrong_codes).where(wrong_codes.c.at <= since))
    wrong = list(connection.scalars(sa.select(wrong_codes.c.at).order_by(wrong_codes.c.at)))
    if len(wrong) >= MAX_WRONG_CODES:
        return Decision(
            f"{len(wrong)} wrong approval codes were presented within an hour, so none is accepted before"
            f" {wrong[-MAX_WRONG_CODES] + WRONG_CODE_WINDOW:%H:%M} UTC; {_terminal_advice(request)}"
        )
    code = _normalize_code(approval.code)
    row = _find_approval(connection, _hash_code(code))
    if row is None:
        connection.execute(sa.insert(wrong_codes).values(at=now, by=approval.approved_by))
        return Decision(
            f"the approval code was not issued here; copy all of it from the alert, or {_terminal_advice(request)}"
        )
    if row["expires_at"] <= now:
        return Decision(
            f"the approval code expired on {row['expires_at']:%Y-%m-%d %H:%M} UTC; {_terminal_advice(request)}"
        )
    return _decide_by_record(connection, request, approval, now, row)


def _decide_by_record(
    connection: sa.Connection,
    request: DuplicationRequest,
    approval: Approval,
    now: datetime,
    row: Mapping[str, Any],
) -> Decision:
    if row["alert_id"] == BY_EXECUTE_MODE and (request.enable or not approval.may_execute):
        return Decision(
            "the code of a run in mode `execute` is valid in that mode only, and for a duplication that stays"
            f" switched off; {_terminal_advice(request)}"
        )
    if differences := _find_differences(row, request):
        names = " and another ".join(_format_field(name) for name in differences)
        return Decision(
            f"the approval code is for another {names}; use the values of the alert, or for these"
            f" {_terminal_advice(request)}"
        )
    expected = _compute_code(_load_key(connection), row["alert_id"], request, row["expires_at"])
    if not hmac.compare_digest(expected.encode(), _normalize_code(approval.code).encode()):
        return Decision(f"the record of this approval code was modified; {_terminal_advice(request)}")
    return _use_approval(connection, row, request, approval, now)


def _use_approval(
    connection: sa.Connection,
    row: Mapping[str, Any],
    request: DuplicationRequest,
    approval: Approval,
    now: datetime,
) -> Decision:
    """Mark an approval as used; its fields make up the key, so a second use is for the same duplication."""
    update = sa.update(approvals).where(approvals.c.approval_id == row["approval_id"])
    if row["used_for"] is None:
        connection.execute(update.values(used_for=request.key, used_at=now, used_by=approval.approved_by))
    method: ApprovalMethod = BY_EXECUTE_MODE if row["alert_id"] == BY_EXECUTE_MODE else BY_CODE
    return _accept(approval, now, str(row["approval_id"]), method)


def _accept(
    approval: Approval, now: datetime, approval_id: str | None = None, method: ApprovalMethod | None = None
) -> Decision:
    return Decision(
        columns={
            "approved_how": method or approval.method,
            "approved_by": approval.approved_by,
            "approved_at": now,
            "approval_id": approval_id,
        }
    )


def _approval_advice(request: DuplicationRequest) -> str:
    return f"open the link of the alert for a live run, or {_terminal_advice(request)}"


def _terminal_advice(request: DuplicationRequest) -> str:
    """Format the command that prompts a person for approval."""
    parts = [f"duplicate {request.ad_id} --to {request.campaign_id} --advertiser {request.advertiser_id}"]
    parts += [f"--ad-group {request.ad_group_id}"] if request.ad_group_id else []
    parts += [f"--budget {request.budget:f}"] if request.budget is not None else []
    parts += [f"--again {request.again}"] if request.again else []
    return f"run `tiktok-assets {' '.join(parts)} --live` on a terminal and confirm there"


def _format_field(name: str) -> str:
    return name.removesuffix("_id").replace("_", " ") if name != "again" else "number of `again`"


def _find_differences(row: Mapping[str, Any], request: DuplicationRequest) -> list[str]:
    """Return the fields that differ between an approval and the request."""
    requested = _bound_values(request)
    return [name for name in _BOUND_FIELDS if row[name] != requested[name]]


def _bound_values(request: DuplicationRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in _BOUND_FIELDS}


def _find_approval(connection: sa.Connection, approval_id: str) -> dict[str, Any] | None:
    query = sa.select(approvals).where(approvals.c.approval_id == approval_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def _load_key(connection: sa.Connection) -> bytes:
    """Load the key; the first caller generates it, which is safe because transactions on the state are serial."""
    key = connection.scalar(sa.select(secret_keys.c.key).where(secret_keys.c.name == _KEY_NAME))
    if key is None:
        key = secrets.token_hex(32)
        connection.execute(sa.insert(secret_keys).values(name=_KEY_NAME, key=key))
    return bytes.fromhex(key)


def _compute_code(key: bytes, alert_id: str, request: DuplicationRequest, expires_at: datetime) -> str:
    bound = [_canonical_text(value) for value in _bound_values(request).values()]
    content = json.dumps([alert_id, *bound, expires_at.isoformat(timespec="microseconds")])
    return b32encode(hmac.digest(key, content.encode(), sha256)[:_CODE_BYTES]).decode()


def _canonical_text(value: object) -> str | None:
    """Convert a value to its canonical text: 50 and 50.00 are the same budget."""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return None if value is None else str(value)


def _normalize_code(text: str) -> str:
    """Normalize a code that a person may have typed: case, separators and misread digits."""
    upper = text[:_MAX_INPUT_LENGTH].upper().translate(_MISREAD_DIGITS)
    return "".join(one for one in upper if one.isascii() and one.isalnum())


def _hash_code(code: str) -> str:
    return sha256(code.encode()).hexdigest()
