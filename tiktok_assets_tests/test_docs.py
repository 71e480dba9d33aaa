"""Check that the documentation matches the program.

`python -m tiktok_assets_tests.test_docs` generates the documents again.
"""

import re
import tomllib
from pathlib import Path

import pytest

from tiktok_assets.definitions import build_definitions
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.entities import ENTITIES
from tiktok_assets.spec.error_codes import ERROR_CODES
from tiktok_assets.spec.metric_catalog import METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets_tests.generated_documents import DOCUMENTS

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]


@pytest.mark.slow
@pytest.mark.parametrize("path", DOCUMENTS)
def test_generated_documents_are_current(path: str) -> None:
    """Every generated document equals what the program generates now."""
    assert (ROOT / path).read_text(encoding="utf-8") == DOCUMENTS[path](), (
        f"{path} is stale: python -m tiktok_assets_tests.test_docs"
    )


def test_generated_documents_are_complete() -> None:
    """Every table, metric and error code is in its document, with a meaning."""
    dictionary = (ROOT / "docs/data_dictionary.md").read_text(encoding="utf-8")
    for name in (*REPORTS_BY_TABLE, *(entity.table for entity in ENTITIES), "top_spenders", "ads_history"):
        assert f"\n### {name}\n" in dictionary, name
    assert [metric.name for metric in METRICS if f"\n| `{metric.name}` |" not in dictionary] == []
    assert not re.search(r"\| *\|$", dictionary, re.MULTILINE)  # every column has a meaning
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
    """Return the anchors that a link into a page can have."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_repository_exist(page: Path) -> None:
    """The targets of links within the repository are files and headings that exist."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        place, _, anchor = target.partition("#")
        if target.startswith(("http://", "https://")):
            continue
        file = (page.parent / place) if place else page
        assert file.is_file(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {target}"


def test_index_lists_every_page() -> None:
    """Every page of `docs/` is in its index."""
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")

    assert [page.name for page in (ROOT / "docs").glob("[!R]*.md") if f"]({page.name})" not in index] == []


def test_the_readme_is_short() -> None:
    """The README has fewer than a hundred lines."""
    assert len(README.read_text(encoding="utf-8").splitlines()) < 100


@pytest.mark.parametrize("place", ["CONTRIBUTING.md", "docs/decisions.md"])
def test_every_file_named_for_developers_exists(place: str) -> None:
    """Each path in the pages for developers is a file or folder of the repository, or of the product."""
    page = ROOT / place
    for name in re.findall(r"`([\w./-]*(?:/|\.(?:py|md|toml|yaml|txt)))`", page.read_text(encoding="utf-8")):
        places = (ROOT / name, ROOT / "tiktok_assets" / name, ROOT / "tiktok_assets_tests" / name)
        assert any(place.exists() for place in places), f"{page.name}: {name}"


def test_changelog_is_of_this_version() -> None:
    """The changelog starts with unreleased changes or the package's version."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    newest = re.search(r"^## \[?([^\]\s]+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert newest
    assert newest.group(1) in {"Unreleased", version}


def test_constraints_contain_versions_only() -> None:
    """`constraints.txt` contains versions only, no URLs."""
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!_-]+", line), line


if __name__ == "__main__":
    for place, write in DOCUMENTS.items():
        (ROOT / place).write_text(write(), encoding="utf-8")
