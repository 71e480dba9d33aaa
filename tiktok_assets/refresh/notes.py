"""What a stored partition says of itself in its file's own notes."""

from collections.abc import Mapping
from datetime import UTC, datetime

FETCHED_AT_NOTE = "fetched_at"
"""When it was read, as aware UTC text."""

IS_COMPLETE_NOTE = "is_complete"
"""Of a day: "true" if it was read after everything that makes a day whole."""

TIMEZONE_NOTE = "timezone"
"""Of a day: in which zone it was one, which an account may change later."""

HISTORY_NOTE = "history_begun"
"""Of a snapshot: "true" if its versions are kept, so that a history that is missing was lost."""

READINGS_NOTE = "readings"
"""Of a day: every reading of it so far, as JSON; see `restatements`."""


def fetched_at_note(fetched_at: datetime) -> dict[str, str]:
    """The note of when a partition was read."""
    return {FETCHED_AT_NOTE: fetched_at.astimezone(UTC).isoformat()}


def is_complete(notes: Mapping[str, str] | None) -> bool:
    """Whether a day was read when it was whole; not if it never was."""
    return notes is not None and notes.get(IS_COMPLETE_NOTE) == "true"


def fetched_at_of(notes: Mapping[str, str] | None) -> datetime | None:
    """When a partition was read, or None if it never was."""
    return datetime.fromisoformat(notes[FETCHED_AT_NOTE]) if notes and FETCHED_AT_NOTE in notes else None
