"""Run the `creatives` command: read and sort stored creatives, and write them as a workbook with thumbnails."""

import io
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
from upath import UPath

from tiktok_assets.cli.errors import CommandError, UsageError
from tiktok_assets.creatives import CREATIVES, CREATIVES_SCHEMA
from tiktok_assets.session import Session
from tiktok_assets.storage import ThumbnailStore, write_atomically

WINDOWS = ("7d", "28d", "lifetime")
FIGURES = (
    *("spend", "impressions", "ctr", "cvr", "cpa", "roas"),
    *("hook_rate", "hold_rate", "completion_rate", "average_watch_seconds"),
)
_SHORT_NAMES = {"hook": "hook_rate", "hold": "hold_rate"}

MAX_PICTURES = 500
"""How many rows of a workbook have their thumbnail; a thumbnail takes about ten kilobytes."""

_THUMBNAIL_PIXELS = 80
_FORMATS = {"money": "#,##0.00", "percent": '0.0" %"', "number": "#,##0.##"}


def read_creatives(session: Session, advertisers: Sequence[str] | None, by: str, days: str) -> pl.DataFrame:
    """Read the stored creatives, sorted within each account, the largest figure first.

    Args:
        session: has the store.
        advertisers: the accounts; None for all.
        by: one of `FIGURES`, or `hook` or `hold`.
        days: 7, 28 or lifetime.

    Raises:
        UsageError: if `by` or `days` has another value.
        CommandError: if nothing is stored.
    """
    window = days if days == "lifetime" else f"{days}d"
    if window not in WINDOWS:
        raise UsageError(f"--days is 7, 28 or lifetime, not {days!r}.")
    figure = _SHORT_NAMES.get(by, by)
    if figure not in FIGURES:
        raise UsageError(f"cannot sort by {by!r}; choose one of: {', '.join((*FIGURES, *_SHORT_NAMES))}.")
    rows = session.store.scan(CREATIVES, CREATIVES_SCHEMA, advertiser_ids=advertisers).collect()
    if rows.is_empty():
        raise CommandError("no creative is stored; run `tiktok-assets sync` first.")
    return rows.sort(
        "currency",
        "advertiser_id",
        f"{figure}_{window}",
        "creative_id",
        descending=[False, False, True, False],
        nulls_last=True,
    )


def write_workbook(creatives: pl.DataFrame, store: ThumbnailStore, target: Path) -> int:
    """Write all columns of creatives as an Excel workbook, with the thumbnails of the first rows.

    Excel keeps amounts as floating-point numbers of 15 digits; CSV and JSON have them exactly. Text is written as
    text, so a name that begins like a formula stays a name.

    Returns:
        The number of thumbnails.

    Raises:
        CommandError: if the file cannot be written.
    """
    from xlsxwriter import Workbook  # noqa: PLC0415 - slow to import

    buffer = io.BytesIO()
    workbook = Workbook(buffer, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    formats = {name: workbook.add_format({"num_format": text}) for name, text in _FORMATS.items()}
    sheet = workbook.add_worksheet("creatives")
    bold = workbook.add_format({"bold": True})
    for column, name in enumerate(("thumbnail", *creatives.columns)):
        sheet.write_string(0, column, name if column == 0 else name.replace("_", " "), bold)
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, creatives.height, creatives.width)
    sheet.set_column(0, 0, 12)
    sheet.set_column(1, creatives.width, 14)
    pictures = 0
    for line, row in enumerate(creatives.to_dicts(), 1):
        if picture := _read_picture(store, row["thumbnail"]) if pictures < MAX_PICTURES else None:
            sheet.set_row_pixels(line, _THUMBNAIL_PIXELS + 4)
            options = {"image_data": picture, "object_position": 1, "description": row["creative_name"] or ""}
            sheet.insert_image(line, 0, "thumbnail.png", options)
            pictures += 1
        for column, (name, value) in enumerate(row.items(), 1):
            _write_cell(sheet, line, column, value, formats[_choose_format(name, value)])
    workbook.close()
    try:
        write_atomically(buffer.getvalue(), UPath(target))
    except OSError as error:
        raise CommandError(f"cannot write {target}: {error.strerror or error}; choose another file.") from error
    return pictures


def _choose_format(name: str, value: object) -> str:
    if isinstance(value, Decimal):
        return "money"
    return "percent" if name.startswith(("ctr_", "cvr_", "hook_", "hold_", "completion_")) else "number"


def _write_cell(sheet: Any, line: int, column: int, value: Any, number_format: object) -> None:  # noqa: ANN401 - of a library without types
    if isinstance(value, Decimal | int | float) and not isinstance(value, bool):
        sheet.write_number(line, column, float(value), number_format)
    elif isinstance(value, date | datetime):
        sheet.write_string(line, column, value.isoformat())
    elif value is not None:
        sheet.write_string(line, column, str(value))


def _read_picture(store: ThumbnailStore, thumbnail: str | None) -> io.BytesIO | None:
    """Read a thumbnail as a small PNG, because a workbook cannot have WebP; None if there is none."""
    from PIL import Image  # noqa: PLC0415 - slow to import

    content = store.read(thumbnail) if thumbnail else None
    if not content:
        return None
    try:
        picture = Image.open(io.BytesIO(content), formats=["WEBP"])
        picture.thumbnail((_THUMBNAIL_PIXELS, _THUMBNAIL_PIXELS))
        result = io.BytesIO()
        picture.convert("RGB").save(result, "PNG")
    except (OSError, ValueError):  # a damaged file costs its own picture only
        return None
    result.seek(0)
    return result
