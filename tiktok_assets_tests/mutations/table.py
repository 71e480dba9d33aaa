"""The table of mutations, read from `mutations.toml`."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = Path(__file__).with_name("mutations.toml")


@dataclass(frozen=True, slots=True)
class Mutation:
    """A change to one file that puts a fixed bug back.

    Attributes:
        bug: What goes wrong with it, one sentence.
        fixed_in: The commit that fixed it.
        file: The path of the file below the repository.
        old: The text to replace, which occurs once in the file.
        new: The text with the bug.
        tests: The test files that should fail.
    """

    bug: str
    fixed_in: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def apply(self, text: str) -> str:
        """Return the text of the file with the bug.

        Raises:
            ValueError: If the text to replace does not occur exactly once.
        """
        if text.count(self.old) != 1:
            raise ValueError(
                f"{self.old!r} occurs {text.count(self.old)} times in {self.file}; adapt {TABLE.name}: {self.bug}"
            )
        return text.replace(self.old, self.new)


def load_mutations() -> list[Mutation]:
    """Load all mutations."""
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8"))["mutation"]
    return [Mutation(**{**row, "tests": tuple(row["tests"])}) for row in rows]
