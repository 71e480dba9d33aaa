"""What the documents say of the program is what the program says of itself.

`python -m tiktok_assets_tests.test_docs` writes the generated parts anew.
"""

import re
import tomllib
from pathlib import Path

import pytest

from tiktok_assets.definitions import build_definitions
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.entities import ENTITIES
from tiktok_assets.spec.error_codes import ERROR_CODES
from tiktok_assets.spec.metric_catalogue import METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets_tests.generated_documents import DOCUMENTS

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]


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


def test_every_table_is_on_its_page() -> None:
    """docs/tables.md names every asset of the standard set with its group, and no other."""
    text = (ROOT / "docs/tables.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| (`[^|]*) \| [^|]+ \| ", text, re.MULTILINE)
    named = {(group, name) for group, cells in rows for name in re.findall(r"`(\w+)`", cells)}
    specs = build_definitions(load_settings(reports="", metrics="")).resolve_all_asset_specs()

    assert named == {(spec.group_name, spec.key.to_user_string()) for spec in specs}


def anchors(page: Path) -> set[str]:
    """What a link into a page may name."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """What a page links to, within the repository, is a file and a heading that exist."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        place, _, anchor = target.partition("#")
        if target.startswith(("http://", "https://")):
            continue
        file = (page.parent / place) if place else page
        assert file.is_file(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {target}"


def test_the_index_leaves_no_page_out() -> None:
    """Every page of `docs/` is in its index."""
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")

    assert [page.name for page in (ROOT / "docs").glob("[!R]*.md") if f"]({page.name})" not in index] == []


def test_the_readme_is_short() -> None:
    """The README has fewer than a hundred lines."""
    assert len(README.read_text(encoding="utf-8").splitlines()) < 100


@pytest.mark.parametrize("page", [ROOT / "CONTRIBUTING.md", ROOT / "docs" / "decisions.md"], ids=lambda page: page.name)
def test_every_file_named_for_developers_exists(page: Path) -> None:
    """Each path in the pages for developers is a file or folder of the repository, or of the product."""
    for name in re.findall(r"`([\w./-]*(?:/|\.(?:py|md|toml|yaml|txt)))`", page.read_text(encoding="utf-8")):
        places = (ROOT / name, ROOT / "tiktok_assets" / name, ROOT / "tiktok_assets_tests" / name)
        assert any(place.exists() for place in places), f"{page.name}: {name}"


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
    for place, write in DOCUMENTS.items():
        (ROOT / place).write_text(write(), encoding="utf-8")
