"""Parse query parameters, and cut the requested page out of a list (API notes 1.1, 3.3, 5.1)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar

import msgspec

from tiktok_assets.sandbox.http.errors import bad_parameter

MISSING = "Missing data for required field."
MAX_INT64 = 2**63
DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE = 10, 1000  # API notes 5.1, 6.1


class Params:
    """The query parameters of a request; unknown ones are ignored (API notes 1.4).

    All methods raise ApiError 40002 with the name of a missing or malformed parameter.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def values(self) -> dict[str, str]:
        """Return all parameters as sent."""
        return dict(self._values)

    def text(self, name: str) -> str | None:
        """Return a parameter's text, or None if it is missing or empty."""
        return self._values.get(name) or None

    def required(self, name: str) -> str:
        """Return the text of a required parameter."""
        value = self.text(name)
        if value is None:
            raise bad_parameter(name, MISSING)
        return value

    def identifier(self, name: str) -> str:
        """Return a required id, which must be a 64-bit integer as text (API notes 3.3)."""
        return parse_id(self.required(name), name)

    def integer(self, name: str, default: int, low: int, high: int | None = None) -> int:
        """Return an integer between `low` and `high` (API notes 1.1)."""
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

    def page(self, max_page_size: int = MAX_PAGE_SIZE) -> tuple[int, int]:
        """Return the page number and the page size (API notes 5.1, 6.1)."""
        return (
            self.integer("page", 1, 1),
            self.integer("page_size", DEFAULT_PAGE_SIZE, 1, max_page_size),
        )

    def boolean(self, name: str) -> bool:
        """Return a boolean; False if it is missing."""
        value = (self.text(name) or "false").lower()
        if value not in ("true", "false"):
            raise bad_parameter(name, "Not a valid boolean.")
        return value == "true"

    def choice(self, name: str, allowed: Iterable[str], default: str | None = None) -> str:
        """Return a value of an enum (API notes 3.3)."""
        value = self.text(name) or default
        if value is None:
            raise bad_parameter(name, MISSING)
        return parse_choice(value, name, allowed)

    def required_date(self, name: str) -> date:
        """Return a required date, YYYY-MM-DD."""
        value = self.required(name)
        try:
            return datetime.strptime(value, "%Y-%m-%d").date()  # noqa: DTZ007  # a calendar day has no time zone
        except ValueError:
            raise bad_parameter(name, "Not a valid date, expected YYYY-MM-DD.") from None

    def texts(self, name: str) -> list[str] | None:
        """Return the strings of a parameter that is a JSON array, or None if it is missing (API notes 1.1)."""
        value = self.text(name)
        return None if value is None else parse_texts(parse_json(value, name), name)

    def json_value(self, name: str, kind: type) -> Any:  # noqa: ANN401  # JSON is anything
        """Return the JSON object or array (by `kind`) of a parameter, or None if it is missing."""
        value = self.text(name)
        if value is None:
            return None
        decoded = parse_json(value, name)
        if not isinstance(decoded, kind):
            raise bad_parameter(name, "Not a valid JSON " + ("object." if kind is dict else "array."))
        return decoded


def parse_json(text: str, path: str) -> Any:  # noqa: ANN401  # JSON is anything
    """Decode JSON text; `path` is the parameter's name in errors."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise bad_parameter(path, "Not a valid JSON.") from None


def parse_id(value: object, path: str) -> str:
    """Check that a value is a 64-bit integer as text, and return it (API notes 3.3)."""
    if not isinstance(value, str) or not value.isascii() or not value.isdigit() or int(value) >= MAX_INT64:
        raise bad_parameter(path, "Not a valid int64 string.")
    return value


def parse_choice(value: object, path: str, allowed: Iterable[str]) -> str:
    """Check that a value is one of `allowed`, and return it."""
    choices = tuple(allowed)
    if not isinstance(value, str) or value not in choices:
        raise bad_parameter(path, f"Must be one of: {', '.join(choices)}.")
    return value


def parse_texts(value: object, path: str) -> list[str]:
    """Check that a value is a list of strings, and return it."""
    if not isinstance(value, list):
        raise bad_parameter(path, "Not a valid list.")
    for index, item in enumerate(value):
        if not isinstance(item, str):
            raise bad_parameter(f"{path}.{index}", "Not a valid string.")
    return value


def parse_time(value: object, path: str) -> str:
    """Check that a value is UTC time text, whose order is that of time, and return it (API notes 5.1)."""
    try:
        datetime.strptime(str(value), "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007  # only the format is checked
    except ValueError:
        raise bad_parameter(path, "Not a valid datetime, expected YYYY-MM-DD HH:MM:SS.") from None
    return str(value)


T = TypeVar("T")


@dataclass(frozen=True)
class PageFault:
    """How a fault changes paging.

    Attributes:
        pages_back: How many pages earlier the returned page is.
        shift: How many rows were added before this page since the last request; negative for removed rows.
        shuffle_seed: The seed of another order of rows with equal rank; None for the ordinary order.
    """

    pages_back: int = 0
    shift: int = 0
    shuffle_seed: int | None = None


NO_PAGE_FAULT = PageFault()


def cut_page(
    rows: Sequence[T], page: int, page_size: int, fault: PageFault = NO_PAGE_FAULT
) -> tuple[Sequence[T], dict[str, int]]:
    """Return one page of rows and its page_info; total_page is 0 for no rows (API notes 3.1)."""
    start = max((page - 1 - fault.pages_back) * page_size - fault.shift, 0)
    total = max(len(rows) + fault.shift, 0)
    info = {
        "page": page,
        "page_size": page_size,
        "total_number": total,
        "total_page": -(-total // page_size),
    }
    return rows[start : start + page_size], info
