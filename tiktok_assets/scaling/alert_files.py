"""The folder of alerts: each one as a page to open and as data to read, whoever else was told."""

import json
import os
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any
from uuid import uuid4

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,"><title>{title}</title></head>
<body style="margin:24px auto;max-width:640px;padding:0 12px"><main>{body}</main></body></html>
"""


def write_alert(folder: Path, alert_id: str, kind: str, message: Mapping[str, Any]) -> Path:
    """Write `<alert_id>.html` and `<alert_id>.json`, each whole or not at all; twice equals once.

    Args:
        folder: made if it is missing.
        alert_id: letters, digits, `-`, `_`; anything else is replaced in the file's name.
        kind: as in the outbox.
        message: as in the outbox.

    Raises:
        OSError: if the folder cannot be written.
    """
    name = "".join(one if one.isascii() and (one.isalnum() or one in "-_") else "_" for one in alert_id)
    folder.mkdir(parents=True, exist_ok=True)
    data = {"alert_id": alert_id, "kind": kind, **message}
    _place(folder / f"{name}.json", json.dumps(data, indent=2, ensure_ascii=False) + "\n")
    page = folder / f"{name}.html"
    _place(page, PAGE.format(title=escape(str(message["title"])), body=message["html"]))
    return page


def _place(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with draft.open("w", encoding="utf-8", errors="replace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
