"""The folder of alerts: each one as a page to open and as data to read, whoever else was told."""

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from tiktok_assets.owner_only import create_folder, write_file

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,"><title>{title}</title></head>
<body style="margin:24px auto;max-width:640px;padding:0 12px"><main>{body}</main></body></html>
"""


def write_alert(folder: Path, alert_id: str, kind: str, message: Mapping[str, Any]) -> Path:
    """Write `<alert_id>.html` and `<alert_id>.json`, each whole or not at all; twice equals once.

    Args:
        folder: created for its owner alone, as are the files.
        alert_id: letters, digits, `-`, `_`; anything else is replaced in the file's name.
        kind: as in the outbox.
        message: as in the outbox.

    Raises:
        OSError: if the folder cannot be written.
    """
    name = "".join(one if one.isascii() and (one.isalnum() or one in "-_") else "_" for one in alert_id)
    create_folder(folder)
    data = {"alert_id": alert_id, "kind": kind, **message}
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    write_file(folder / f"{name}.json", text.encode(errors="replace"))
    page = folder / f"{name}.html"
    html = PAGE.format(title=escape(str(message["title"])), body=message["html"])
    write_file(page, html.encode(errors="replace"))
    return page
