"""Where simulated processes are killed, and how the host misbehaves."""

from collections.abc import Sequence
from typing import Any

from tiktok_assets_tests.simulation.process import Seam

Seams = Sequence[tuple[Seam, int]]

REFRESH_SEAMS: Seams = (
    ("request", 40),
    ("response", 40),
    ("file", 400),
    ("file", 2500),
    ("statement", 60),
    ("commit", 25),
    ("send", 3),
    ("sent", 3),
)
"""Where a refresh is killed, with the highest number; a number that is not reached kills nothing."""

DELIVERY_SEAMS: Seams = (("sent", 2), ("send", 2), ("commit", 6))

DUPLICATION_SEAMS: Seams = (
    ("request", 20),
    ("response", 20),
    ("statement", 60),
    ("commit", 25),
)
HOST_FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "code", "code": 40100, "times": 3},
    {"kind": "code", "code": 40100, "times": 1},
    {"kind": "code", "code": 40133, "times": 2},
    {"kind": "code", "code": 50000, "times": 2},
    {"kind": "code", "code": 40016, "times": 1},
    {"kind": "code", "code": 40067, "times": 1},
    {"kind": "code", "code": 40105, "times": 1},
    {"kind": "code", "code": 40001, "times": 1},
    {"kind": "code", "code": 51010, "times": 2},
    {"kind": "http_status", "status": 429, "times": 2},
    {"kind": "http_status", "status": 502, "html": "<html></html>", "times": 3},
    {"kind": "http_status", "status": 404, "times": 1},
    {"kind": "not_json", "times": 2},
    {"kind": "truncated", "times": 1},
    {"kind": "redirect", "status": 307, "location": "http://example.test/", "times": 1},
    {"kind": "redirect", "status": 307, "times": 1},
    {"kind": "lost_row", "path": "report/integrated/get", "times": 2},
    {"kind": "lost_row", "path": "ad/get", "times": 5},
    {"kind": "repeated_page", "times": 1},
    {"kind": "ties_shuffled", "times": 3},
    {"kind": "new_field", "times": 4},
    {"kind": "wrong_type", "field": None, "times": 1},
    {"kind": "wrong_type", "field": "spend", "path": "report/integrated/get", "times": 1},
    {"kind": "invisible", "path": "adgroup/create", "seconds": 40.0, "clock": "world", "times": 1},
    {"kind": "invisible", "path": "ad/create", "seconds": 70.0, "clock": "world", "times": 1},
    {"kind": "code", "code": 50000, "commit": True, "path": "ad/create", "times": 1},
    {"kind": "code", "code": 50000, "commit": True, "path": "adgroup/create", "times": 1},
)

LOST_AND_INVISIBLE: tuple[dict[str, Any], ...] = (
    {"kind": "code", "code": 50000, "commit": True},
    {"kind": "invisible", "seconds": 70.0, "clock": "world", "stack": True},
)
"""Faults of one create request: it fails, but the object exists, and no list has it at first."""

NEW_COLUMNS = ("undo_started_at", "undone_at", "undone_by", "undo_result", "target_kind", "approval_id")
"""Columns of the table `duplications` that earlier versions did not have."""
