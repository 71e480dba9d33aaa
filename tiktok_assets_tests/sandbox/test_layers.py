"""Tests of the direction of imports inside the sandbox."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiktok_assets import sandbox

ROOT = Path(str(sandbox.__file__)).parent
LAYERS = ("world", "http", "reads", "writes")
TOP = len(LAYERS)


def layer(module: str) -> int:
    """Return the layer of a module of the sandbox, by its dotted name; 4 for those that assemble the server."""
    parts = module.split(".")
    return LAYERS.index(parts[2]) if len(parts) > 2 and parts[2] in LAYERS else TOP


def imported_modules(file: Path) -> Iterator[str]:
    """Yield the dotted names of the modules that a file imports."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_run_one_way(file: Path) -> None:
    """A module of the sandbox imports only lower layers or its own, and no other package of the product."""
    own = ".".join(("tiktok_assets", "sandbox", *file.relative_to(ROOT).with_suffix("").parts))
    modules = [one for one in imported_modules(file) if one.startswith("tiktok_assets.")]
    assert [one for one in modules if not one.startswith("tiktok_assets.sandbox.")] == []
    assert [one for one in modules if layer(one) > layer(own)] == []
