"""What the documents say of the program is what the program says of itself.

`python -m tiktok_assets_tests.test_docs` writes the generated parts anew.
"""

import re
import tomllib
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined
from typer.main import get_command

from tiktok_assets.cli import app
from tiktok_assets.settings import Settings
from tiktok_assets.spec.entities import ENTITIES
from tiktok_assets.spec.error_codes import ERROR_CODES
from tiktok_assets.spec.metrics import METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets_tests.generated_documents import DOCUMENTS

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PARTS = re.compile(r"(<!-- settings: [^>]*-->\n).*?(<!-- end -->)", re.DOTALL)


def settings_table() -> str:
    """The settings as Markdown: variable, default and meaning."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for field in Settings.model_fields.values():
        default = field.default
        shown = "none" if default in (None, "", [], {}, PydanticUndefined) else f"`{default}`"
        lines.append(f"| `{field.alias}` | {shown} | {field.description} |")
    return "\n".join(lines) + "\n"


def generated(text: str) -> str:
    """The document with its generated parts made anew."""
    return PARTS.sub(lambda match: match.group(1) + settings_table() + match.group(2), text)


def test_the_generated_parts_are_fresh() -> None:
    """The README's table of settings is the settings' own."""
    text = README.read_text()

    assert generated(text) == text


@pytest.mark.parametrize("path", DOCUMENTS)
def test_the_generated_documents_are_fresh(path: str) -> None:
    """The data dictionary and the table of error codes are what the program says now, to the letter."""
    assert (ROOT / path).read_text(encoding="utf-8") == DOCUMENTS[path](), (
        f"{path} is stale: python -m tiktok_assets_tests.test_docs"
    )


def test_the_dictionary_leaves_nothing_out() -> None:
    """Every table there can be, every metric and every error code is in its document, with a meaning."""
    dictionary = (ROOT / "docs/data_dictionary.md").read_text(encoding="utf-8")
    for name in (*REPORTS_BY_TABLE, *(entity.table for entity in ENTITIES), "top_spenders", "ads_history"):
        assert f"\n### {name}\n" in dictionary, name
    assert [metric.name for metric in METRICS if f"\n| `{metric.name}` |" not in dictionary] == []
    assert not re.search(r"\| *\|$", dictionary, re.MULTILINE)  # no column without a meaning
    errors = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    assert [code for code in ERROR_CODES if f"\n| {code} |" not in errors] == []


def test_every_command_is_in_the_readme() -> None:
    """Each command of the program is named in the README, and each command named there exists."""
    commands = set(getattr(get_command(app), "commands", {}))
    named = set(re.findall(r"`tiktok-assets ([a-z]+)", README.read_text()))

    assert commands == named & commands
    assert named - commands == set()


def test_the_changelog_is_of_this_version() -> None:
    """The changelog opens with what is not yet released, or with the package's own version."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    newest = re.search(r"^## \[?([^\]\s]+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert newest
    assert newest.group(1) in {"Unreleased", version}


def test_the_pins_name_no_place() -> None:
    """`constraints.txt` holds versions only, no addresses."""
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!_-]+", line), line


if __name__ == "__main__":
    README.write_text(generated(README.read_text()))
    for place, write in DOCUMENTS.items():
        (ROOT / place).write_text(write(), encoding="utf-8")
