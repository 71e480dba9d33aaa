"""Parse query parameters, and cut the requested page out of a list (API notes 1.1, 3.3, 5.1)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar

import msgspec

from tiktok_assets.sandbox.http.errors import bad_parameter

MISSING = "Missing data for required field."
MAX_INT64 = 2**63
PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX = 10, 1000  # dossier 5.1, 6.1


class Params:
    """The query parameters of one request; keys nobody asks for are ignored (dossier 1.4)."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def values(self) -> dict[str, str]:
        """Return every parameter as it was sent."""
        return dict(self._values)

    def text(self, name: str) -> str | None:
        """Return a parameter's text; empty counts as absent."""
        return self._values.get(name) or None

    def required(self, name: str) -> str:
        """Return a parameter that must be there."""
        value = self.text(name)
        if value is None:
            raise bad_parameter(name, MISSING)
        return value

    def identifier(self, name: str) -> str:
        """Return a required id: text that parses as a 64-bit integer (dossier 3.3)."""
        return parse_id(self.required(name), name)

    def integer(self, name: str, default: int, low: int, high: int | None = None) -> int:
        """Return an integer within its range; numbers as text are fine (dossier 1.1)."""
        value = self.text(name)
        if value is None:
            return default
        try:
            number = int(value)
        except ValueError:
            raise bad_parameter(name, "Not a valid integer.") from None
        if number < low or (high is not None and number > high):
            limits = f"greater than or equal to {low}" + (f" and less than or equal to {high}" if high else "")
            raise bad_parameter(name, f"Must be {limits}.")
        return number

    def page(self) -> tuple[int, int]:
        """Return page and page size (dossier 5.1, 6.1)."""
        return (
            self.integer("page", 1, 1),
            self.integer("page_size", PAGE_SIZE_DEFAULT, 1, PAGE_SIZE_MAX),
        )

    def boolean(self, name: str) -> bool:
        """Return a flag; absent is false."""
        value = (self.text(name) or "false").lower()
        if value not in ("true", "false"):
            raise bad_parameter(name, "Not a valid boolean.")
        return value == "true"

    def choice(self, name: str, allowed: Iterable[str], default: str | None = None) -> str:
        """Return an enum value; enums are strict (dossier 3.3)."""
        value = self.text(name) or default
        if value is None:
            raise bad_parameter(name, MISSING)
        return parse_choice(value, name, allowed)

    def day(self, name: str) -> date:
        """Return a required date."""
        value = self.required(name)
        try:
            return datetime.strptime(value, "%Y-%m-%d").date()  # noqa: DTZ007  # a calendar day has no zone
        except ValueError:
            raise bad_parameter(name, "Not a valid date, expected YYYY-MM-DD.") from None

    def texts(self, name: str) -> list[str] | None:
        """Return a JSON array of text inside one parameter (dossier 1.1)."""
        value = self.text(name)
        return None if value is None else parse_texts(parse_json(value, name), name)

    def decoded(self, name: str, kind: type) -> Any:  # noqa: ANN401  # JSON is anything
        """Return a JSON object or array inside one parameter, or None."""
        value = self.text(name)
        if value is None:
            return None
        found = parse_json(value, name)
        if not isinstance(found, kind):
            raise bad_parameter(name, "Not a valid JSON " + ("object." if kind is dict else "array."))
        return found


def parse_json(text: str, path: str) -> Any:  # noqa: ANN401  # JSON is anything
    """Return the JSON value of a text."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise bad_parameter(path, "Not a valid JSON.") from None


def parse_id(value: object, path: str) -> str:
    """Return an id that is text and parses as a 64-bit integer (dossier 3.3)."""
    if not isinstance(value, str) or not value.isascii() or not value.isdigit() or int(value) >= MAX_INT64:
        raise bad_parameter(path, "Not a valid int64 string.")
    return value


def parse_choice(value: object, path: str, allowed: Iterable[str]) -> str:
    """Return a value that is one of the allowed."""
    choices = tuple(allowed)
    if not isinstance(value, str) or value not in choices:
        raise bad_parameter(path, f"Must be one of: {', '.join(choices)}.")
    return value


def parse_texts(value: object, path: str) -> list[str]:
    """Return a list of texts."""
    if not isinstance(value, list):
        raise bad_parameter(path, "Not a valid list.")
    for index, item in enumerate(value):
        if not isinstance(item, str):
            raise bad_parameter(f"{path}.{index}", "Not a valid string.")
    return value


def parse_time(value: object, path: str) -> str:
    """Return a UTC time text (dossier 5.1), which sorts as it reads."""
    try:
        datetime.strptime(str(value), "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007  # only its shape is checked
    except ValueError:
        raise bad_parameter(path, "Not a valid datetime, expected YYYY-MM-DD HH:MM:SS.") from None
    return str(value)


T = TypeVar("T")


@dataclass(frozen=True)
class PageFault:
    """What a fault does to paging.

    Attributes:
        back: Serve the page that many pages earlier instead.
        shift: Rows that came in before this page since the last call; negative: rows that went.
        shuffle: A seed: rows of equal rank come in an order of their own.
    """

    back: int = 0
    shift: int = 0
    shuffle: int | None = None


NO_PAGE_FAULT = PageFault()


def cut_page(
    rows: Sequence[T], page: int, page_size: int, trick: PageFault = NO_PAGE_FAULT
) -> tuple[Sequence[T], dict[str, int]]:
    """Return a page of rows and its page_info; an empty list has total_page 0 (dossier 3.1)."""
    start = max((page - 1 - trick.back) * page_size - trick.shift, 0)
    total = max(len(rows) + trick.shift, 0)
    info = {
        "page": page,
        "page_size": page_size,
        "total_number": total,
        "total_page": -(-total // page_size),
    }
    return rows[start : start + page_size], info
