"""Misbehaviour asked for by name: which fault fires for which request, and what it does to an answer."""

from random import Random
from typing import Any

import msgspec

from tiktok_assets.sandbox.paging import HONEST, PageTrick

# Kinds that replace the answer, that change how pages are cut, and that change the finished body.
KINDS = (
    "code", "http_status", "hang", "cut", "not_json", "redirect",
    "repeated_page", "drift",
    "truncated", "wrong_type", "new_field", "lost_row",
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
        seconds: For `hang`: the wait before the ordinary answer.
        location: For `redirect`: where to; None is the same path on this host.
        shift: For `drift`: rows that came in since the page before; negative rows went.
        field: For `new_field` the name added; for `wrong_type` the field spoiled.
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
    location: str | None = None
    shift: int = 1
    field: str | None = None
    matched: int = 0
    fired: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"Unknown kind of fault {self.kind!r}; the kinds are {', '.join(KINDS)}.")


class Faults:
    """The declared faults, asked in order for each request; the first that fires is taken."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = Random(f"{seed}:faults")
        self.declared: list[Fault] = []

    def clear(self) -> None:
        """Forget every fault and start chance anew."""
        self.declared.clear()
        self._random = Random(f"{self._seed}:faults")

    def pick(self, path: str, advertiser_id: str | None) -> Fault | None:
        """Return the fault that fires for a request, if any."""
        for fault in self.declared:
            if fault.path is not None and fault.path.strip("/") != path:
                continue
            if fault.advertiser_id is not None and fault.advertiser_id != advertiser_id:
                continue
            fault.matched += 1
            if fault.matched <= fault.after or (fault.times is not None and fault.fired >= fault.times):
                continue
            if fault.probability < 1 and self._random.random() >= fault.probability:
                continue
            fault.fired += 1
            return fault
        return None


def page_trick(fault: Fault | None) -> PageTrick:
    """Return what a fault does to paging."""
    if fault is None:
        return HONEST
    if fault.kind == "repeated_page":
        return PageTrick(back=1)
    return PageTrick(shift=fault.shift) if fault.kind == "drift" else HONEST


def spoil(fault: Fault | None, data: dict[str, Any]) -> dict[str, Any]:
    """Return the data of an answer as the fault leaves them; what was given is not changed."""
    rows = data.get("list")
    if fault is None or rows is None:
        return data
    if fault.kind == "lost_row":
        return data | {"list": list(rows)[1:]}
    if fault.kind == "new_field":
        return data | {"list": [row | {fault.field or "brand_new_field": "surprise"} for row in rows]}
    if fault.kind == "wrong_type":
        return _wrong_type(fault, data, rows)
    return data


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
