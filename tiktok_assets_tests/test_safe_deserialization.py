"""Check that no module executes what it parses."""

import ast
from pathlib import Path

import pytest

import tiktok_assets

UNSAFE_MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
UNSAFE_CALLS = {"eval", "exec", "compile"}
SAFE_YAML = {"safe_load", "safe_load_all", "safe_dump", "YAMLError", "dump_run_config_yaml"}

PACKAGE = Path(str(tiktok_assets.__file__)).parent


def find_unsafe(tree: ast.AST) -> list[str]:
    """Return the unsafe imports and calls of a module."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
            found += [name for name in names if name.split(".")[0] in UNSAFE_MODULES]
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "yaml":
                found += [f"yaml.{one.name}" for one in node.names if one.name not in SAFE_YAML]
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "yaml":
            found += [f"yaml.{node.attr}"] if node.attr not in SAFE_YAML else []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in UNSAFE_CALLS:
            found.append(node.func.id)
    return found


@pytest.mark.slow
def test_no_module_executes_its_input() -> None:
    """YAML is parsed by the safe loader only, and no module unpickles, evaluates or executes text."""
    unsafe_by_module = {
        str(path.relative_to(PACKAGE)): find_unsafe(ast.parse(path.read_text())) for path in PACKAGE.rglob("*.py")
    }
    assert {name: found for name, found in unsafe_by_module.items() if found} == {}


@pytest.mark.parametrize(
    "line", ["yaml.load(x)", "yaml.unsafe_load(x)", "from yaml import load", "import pickle", "eval(x)"]
)
def test_search_finds_unsafe_calls(line: str) -> None:
    """The search finds each of the unsafe imports and calls."""
    assert find_unsafe(ast.parse(line))
