"""Faults declared by tests: select those that fire for a request, and apply them to its response."""

from random import Random
from typing import Any

import msgspec

from tiktok_assets.sandbox.http.params import PageFault

# By line: kinds that replace or delay the response, that never end, that change paging, that change the body, that
# separate a write from its response, and that concern report tasks.
KINDS = (
    "code", "http_status", "hang", "cut", "not_json", "redirect",
    "gzip_bomb", "endless", "drip", "drip_headers",
    "repeated_page", "drift", "ties_shuffled",
    "truncated", "wrong_type", "wrong_value", "raw_value", "new_field", "lost_row",
    "cut_before", "commit_then_cut", "commit_late", "invisible",
    "task_failed", "task_stuck", "link_expired", "file_cut", "file_row_lost",
)  # fmt: skip


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A declared fault; one class holds the fields of all kinds.

    Attributes:
        kind: One of `KINDS`.
        path: Only for this path, such as "report/integrated/get"; None for all.
        advertiser_id: Only for requests about this account.
        times: How often it fires; None for no limit.
        probability: The probability that it fires for a matching request, from the seeded generator.
        after: How many matching requests it skips first.
        code: For `code`: the business code.
        message: For `code`: the text.
        status: For `http_status` and `redirect`.
        html: For `http_status` and `not_json`: the body; None for an envelope with code 50000 or a default page.
        seconds: For `hang`: the delay of the response; for `commit_late`: the time between the closed connection
            and the write; for `drip` and `drip_headers`: the time between two bytes; for `invisible`: how long
            reads do not include what the write created.
        clock: For `invisible`: the clock of `seconds`, "wall" or "world".
        stack: Whether it fires in addition to other faults.
        commit: For kinds that replace the response: whether the write is done first.
        location: For `redirect`: the target; None for the same URL.
        shift: For `drift`: how many rows were added since the previous page; negative for removed rows. For
            `file_cut`: how many bytes are missing at the end of the file.
        field: For `new_field` the name of the new field; for `wrong_type`, `wrong_value` and `raw_value` the
            changed field.
        value: For `wrong_value`: the new value, in the first row.
        raw: For `raw_value`: the new bytes of the JSON, one character a byte, in the first row with the field.
        matched: How many requests have matched.
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
    """The declared faults; of those without `stack` only the first one that matches fires."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = Random(f"{seed}:faults")
        self.declared: list[Fault] = []

    def clear(self) -> None:
        """Remove all faults and reset the random generator."""
        self.declared.clear()
        self._random = Random(f"{self._seed}:faults")

    def select(self, path: str, advertiser_id: str | None) -> dict[str, Fault]:
        """Return the faults that fire for a request, by kind: at most one without `stack`."""
        fired: dict[str, Fault] = {}
        has_exclusive = False
        for fault in self.declared:
            if (has_exclusive and not fault.stack) or not self._fires(fault, path, advertiser_id):
                continue
            has_exclusive = has_exclusive or not fault.stack
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

    def page_fault(self, fired: dict[str, Fault]) -> PageFault:
        """Return how the fired faults change paging."""
        return PageFault(
            pages_back=1 if "repeated_page" in fired else 0,
            shift=fired["drift"].shift if "drift" in fired else 0,
            shuffle_seed=self._random.getrandbits(32) if "ties_shuffled" in fired else None,
        )


def corrupt_data(fired: dict[str, Fault], data: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the data with the changes of the fired faults; the input is not modified."""
    for kind, corrupt in DATA_FAULTS.items():
        if kind in fired and data.get("list") is not None:
            data = corrupt(fired[kind], data, data["list"])
    return data


def _lost_row(_: Fault, data: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    return data | {"list": list(rows)[1:]}


def _new_field(fault: Fault, data: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    return data | {"list": [row | {fault.field or "brand_new_field": "surprise"} for row in rows]}


def _wrong_type(fault: Fault, data: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    if fault.field is None or fault.field == "total_number":
        info = data.get("page_info", {})
        return data | {"page_info": info | {"total_number": str(info.get("total_number"))}}
    corrupted = [
        {
            key: value | {fault.field: {"value": value[fault.field]}}
            if isinstance(value, dict) and fault.field in value
            else ({"value": value} if key == fault.field else value)
            for key, value in row.items()
        }
        for row in rows
    ]
    return data | {"list": corrupted}


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
    """Replace the placeholder in an encoded body with the raw bytes of a fault, valid JSON or not."""
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
