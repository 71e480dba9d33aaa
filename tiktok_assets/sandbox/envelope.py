"""The envelope around every JSON answer, and its 34-character request ids (dossier 3.1, 1.5)."""

from datetime import datetime, timedelta
from random import Random
from typing import Any

import msgspec

from tiktok_assets.sandbox.errors import ApiError

EAST_8 = timedelta(hours=8)  # request ids look like UTC+8 (dossier 1.5)


class RequestIds:
    """Makes request ids: 14 digits of time, 20 hexadecimal characters; seeded."""

    def __init__(self, seed: int) -> None:
        self._random = Random(f"{seed}:request-ids")

    def next(self, now: datetime) -> str:
        """Return the next request id."""
        return f"{now + EAST_8:%Y%m%d%H%M%S}{self._random.getrandbits(80):020X}"


def ok(data: dict[str, Any], request_id: str, *, code: int = 0) -> dict[str, Any]:
    """Return the envelope of a success, whole (0) or in part (20001)."""
    return {"code": code, "message": "OK" if code == 0 else "PARTIAL_OK", "request_id": request_id, "data": data}


def failed(error: ApiError, request_id: str) -> dict[str, Any]:
    """Return the envelope of a failure: `data` is an empty object (dossier 3.1)."""
    return {"code": error.code, "message": error.message, "request_id": request_id, "data": {}}


def encode(body: dict[str, Any]) -> bytes:
    """Return a body as JSON bytes."""
    return msgspec.json.encode(body)
