"""Define what the picture of an alert shows, and store it as a file beside the alert's page."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tiktok_assets.file_permissions import create_private_folder, write_private_file


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertPicture:
    """What the picture of an alert shows; every text may have any characters.

    Attributes:
        heading: what happened, in two or three words.
        title: the name of the ad or creative.
        subtitle: where it is, such as the name of its campaign.
        figures: label and value, the most important first; at most six are shown.
        series: the values of the trend by day, oldest first; None is a gap.
        series_label: what the trend shows.
        series_note: its scale, such as the largest value.
        thumbnail: a picture file; a tile is drawn in place of one that is missing or damaged.
        key: the id of the creative; decides on the color of its tile.
        alt: the picture in words, for those who cannot see it.
        file_name: of the attachment.
    """

    heading: str
    title: str
    subtitle: str
    figures: tuple[tuple[str, str], ...]
    series: tuple[float | None, ...]
    series_label: str
    series_note: str = ""
    thumbnail: bytes | None
    key: str
    alt: str
    file_name: str


def picture_path(folder: Path, alert_id: str) -> Path:
    """Return the path of the picture of an alert, beside its page; there may be none."""
    return folder / f"{safe_file_name(alert_id)}.png"


def safe_file_name(text: str) -> str:
    """Return a text with everything but ASCII letters, digits, `-` and `_` replaced, for the name of a file."""
    return "".join(one if one.isascii() and (one.isalnum() or one in "-_") else "_" for one in text)


def write_picture(folder: Path, alert_id: str, content: bytes) -> None:
    """Write the picture of an alert as a file that only its owner can read; without it the alert is sent too."""
    with suppress(OSError):
        create_private_folder(folder)
        write_private_file(picture_path(folder, alert_id), content)
