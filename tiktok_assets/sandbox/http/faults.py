"""Faults declared by tests: select those that fire for a request, and apply them to its response."""

from random import Random
from typing import Any

import msgspec

from tiktok_assets.sandbox.http.params import PageFault

# Kinds that replace the answer, that change how pages are cut, that change the finished body, and that
# part what a write does from what its sender learns.
KINDS = (
    "code", "http_status", "hang", "cut", "not_json", "redirect",
    "gzip_bomb", "endless", "drip", "drip_headers",
    "repeated_page", "drift", "ties_shuffled",
    "truncated", "wrong_type", "wrong_value", "raw_value", "new_field", "lost_row",
    "cut_before", "commit_then_cut", "commit_late", "invisible",
)  # fmt: skip


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One declared fault.

    Attributes:
        kind: One of `KINDS`.
        path: Only for this path, such as "report/integrated/get"; None for all.
        advertiser_id: Only for requests about this account.
        times: How often it fires; None for ever.
        probability: Its chance at each matching request, from the seeded generator.
        after: Matching requests to let pass first.
        code: For `code`: the business code.
        message: For `code`: the text.
        status: For `http_status` and `redirect`.
        html: For `http_status`: the body; None answers an envelope with code 50000.
        seconds: For `hang`: the wait before the ordinary answer; for `commit_late`: between the cut and the
            write; for `drip` and `drip_headers`: between two bytes; for `invisible`: how long reads do not
            show what the write created.
        clock: For `invisible`: which clock the seconds are of, "wall" or "world".
        stack: Fire beside other faults instead of in their place.
        commit: For kinds that replace the answer: do the write first.
        location: For `redirect`: where to; None is the same path on this host.
        shift: For `drift`: rows that came in since the page before; negative rows went.
        field: For `new_field` the name added; for `wrong_type` and `wrong_value` the field spoiled.
        value: For `wrong_value`: what it says instead, in the first row.
        raw: For `raw_value`: what stands in the JSON instead, a character a byte, in the first row with the field.
        matched: Matching requests so far.
        fired: How often it has fired.
    """

    kind: str
    path: str | None = None
    advertiser_id: str | None = None
    times: int | None = 1
    probability: float = 1.0
    after: int = 0
    code: int = 50000
    message: str = "System error."
    status: int = 500
    html: str | None = None
    seconds: float = 5.0
    clock: str = "wall"
    stack: bool = False
    commit: bool = False
    location: str | None = None
    shift: int = 1
    field: str | None = None
    value: str | int | None = None
    raw: str = "null"
    matched: int = 0
    fired: int = 0

    def __post_init__(self) -> None:
        if self.clock not in ("wall", "world"):
            raise ValueError('The clock of a fault is "wall" or "world".')
        if self.kind not in KINDS:
            raise ValueError(f"Unknown kind of fault {self.kind!r}; the kinds are {', '.join(KINDS)}.")


class Faults:
    """The declared faults, asked in order for each request; one that does not stack ends the search for others."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = Random(f"{seed}:faults")
        self.declared: list[Fault] = []

    def clear(self) -> None:
        """Forget every fault and start chance anew."""
        self.declared.clear()
        self._random = Random(f"{self._seed}:faults")

    def pick(self, path: str, advertiser_id: str | None) -> dict[str, Fault]:
        """Return the faults that fire for a request, by kind: at most one that does not stack."""
        fired: dict[str, Fault] = {}
        taken = False
        for fault in self.declared:
            if (taken and not fault.stack) or not self._fires(fault, path, advertiser_id):
                continue
            taken = taken or not fault.stack
            fault.fired += 1
            fired[fault.kind] = fault
        return fired

    def _fires(self, fault: Fault, path: str, advertiser_id: str | None) -> bool:
        if fault.path is not None and fault.path.strip("/") != path:
            return False
        if fault.advertiser_id is not None and fault.advertiser_id != advertiser_id:
            return False
        fault.matched += 1
        if fault.matched <= fault.after or (fault.times is not None and fault.fired >= fault.times):
            return False
        return fault.probability >= 1 or self._random.random() < fault.probability

    def page_trick(self, fired: dict[str, Fault]) -> PageFault:
        """Return what the faults do to paging."""
        return PageFault(
            back=1 if "repeated_page" in fired else 0,
            shift=fired["drift"].shift if "drift" in fired else 0,
            shuffle=self._random.getrandbits(32) if "ties_shuffled" in fired else None,
        )


def corrupt_data(fired: dict[str, Fault], data: dict[str, Any]) -> dict[str, Any]:
    """Return the data of an answer as the faults leave them; what was given is not changed."""
    for kind, spoiler in DATA_FAULTS.items():
        if kind in fired and data.get("list") is not None:
            data = spoiler(fired[kind], data, data["list"])
    return data


def _lost_row(_: Fault, data: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    return data | {"list": list(rows)[1:]}


def _new_field(fault: Fault, data: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    return data | {"list": [row | {fault.field or "brand_new_field": "surprise"} for row in rows]}


def _wrong_type(fault: Fault, data: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    if fault.field is None or fault.field == "total_number":
        info = data.get("page_info", {})
        return data | {"page_info": info | {"total_number": str(info.get("total_number"))}}
    spoiled = [
        {
            key: value | {fault.field: {"value": value[fault.field]}}
            if isinstance(value, dict) and fault.field in value
            else ({"value": value} if key == fault.field else value)
            for key, value in row.items()
        }
        for row in rows
    ]
    return data | {"list": spoiled}


def _wrong_value(fault: Fault, data: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    wrong = {fault.field: fault.value}
    first = {
        key: value | wrong if isinstance(value, dict) and fault.field in value else value
        for row in rows[:1]
        for key, value in row.items()
    }
    return data | {"list": [first | (wrong if fault.field in first else {}), *rows[1:]] if rows else rows}


RAW_PLACEHOLDER = "@@raw value@@"


def _raw_value(fault: Fault, data: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    return _wrong_value(Fault(kind=fault.kind, field=fault.field, value=RAW_PLACEHOLDER), data, rows)


def insert_raw_value(fired: dict[str, Fault], body: bytes) -> bytes:
    """Return the bytes of an answer with what a fault puts there raw, be it JSON or not."""
    if "raw_value" not in fired:
        return body
    return body.replace(msgspec.json.encode(RAW_PLACEHOLDER), fired["raw_value"].raw.encode("latin-1"))


DATA_FAULTS = {
    "lost_row": _lost_row,
    "new_field": _new_field,
    "wrong_type": _wrong_type,
    "wrong_value": _wrong_value,
    "raw_value": _raw_value,
}
