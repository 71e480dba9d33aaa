"""Check the structure of the code: layers, imports between packages, and the size of a module."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import tiktok_assets

PACKAGE = "tiktok_assets"
ROOT = Path(str(tiktok_assets.__file__)).parent
MAX_LINES = 400

LAYERS = (
    {"escaping", "file_permissions", "sandbox"},
    {"typography"},
    {"tiles"},
    {"spec", "setting_types"},
    {"report_selection", "destination_settings"},
    {"settings", "tables"},
    {"naming"},
    {"api"},
    {"storage"},
    {"ingest", "alerts", "duplication", "instance"},
    {"quality", "overview", "creatives", "top_spenders", "session", "publish"},
    {"defs", "webserver"},
    {"definitions"},
    {"component"},
    {"cli"},
    {"__main__"},
)
"""Packages and top-level modules, lowest layer first; a module imports from lower layers and its own package."""

SANDBOX_LAYERS = ("world", "http", "reads", "writes")
"""The folders of the sandbox, lowest first; the modules beside them are above all four."""

MAY_IMPORT_THE_SANDBOX = {"cli", "component"}
MAY_IMPORT_DAGSTER = {"component", "webserver", "defs", "definitions", "instance", "cli"}
MAY_USE_THE_ENVIRONMENT = {"settings", "instance", "cli"}

MODULES = sorted(ROOT.rglob("*.py"))


def package_of(module: Path) -> str:
    """Return the package or top-level module of the product that a file belongs to."""
    return module.relative_to(ROOT).parts[0].removesuffix(".py")


def layer_of(package: str) -> int:
    """Return the index of a package's layer."""
    return next(index for index, layer in enumerate(LAYERS) if package in layer)


@cache
def parse(module: Path) -> ast.Module:
    """Parse a module."""
    return ast.parse(module.read_text(encoding="utf-8"))


def path_of(module: Path) -> str:
    """Return a module's path relative to the product."""
    return module.relative_to(ROOT).as_posix()


def imports(module: Path) -> Iterator[str]:
    """Yield every dotted name a module imports, also inside functions."""
    for node in ast.walk(parse(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import; imports begin at {PACKAGE}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_packages(module: Path) -> set[str]:
    """Return the other packages of the product a module imports from."""
    names = {name.split(".")[1] for name in imports(module) if name.startswith(f"{PACKAGE}.")}
    return names - {package_of(module)}


def test_every_package_has_a_layer() -> None:
    """Each package and top-level module is in exactly one layer."""
    layered = [name for layer in LAYERS for name in layer]
    assert sorted(layered) == sorted({package_of(module) for module in MODULES} - {"__init__"})


@pytest.mark.slow
def test_imports_go_to_lower_layers_only() -> None:
    """A module imports from its own package and from lower layers."""
    wrong = [
        f"{path_of(module)} imports {package}"
        for module in MODULES
        for package in sorted(imported_packages(module) - {"sandbox"})
        if layer_of(package) >= layer_of(package_of(module))
    ]
    assert wrong == []


def test_the_folders_of_the_sandbox_import_one_way() -> None:
    """world, http, reads and writes of the sandbox import from the folders before them, and from nothing above."""
    wrong = []
    for index, folder in enumerate(SANDBOX_LAYERS):
        for module in (ROOT / "sandbox" / folder).rglob("*.py"):
            seen = {name.split(".")[2] for name in imports(module) if name.startswith(f"{PACKAGE}.sandbox.")}
            wrong += [f"{path_of(module)} imports {name}" for name in seen - set(SANDBOX_LAYERS[: index + 1])]
    assert wrong == []


@pytest.mark.slow
def test_only_the_command_line_imports_the_sandbox() -> None:
    """The sandbox imports no other package, so that client and server share no mistake."""
    for module in MODULES:
        if package_of(module) == "sandbox":
            assert imported_packages(module) == set(), path_of(module)
        elif package_of(module) not in MAY_IMPORT_THE_SANDBOX:
            assert "sandbox" not in imported_packages(module), path_of(module)


def test_only_the_upper_layers_import_dagster() -> None:
    """Reading, storing, checking and deciding work without Dagster."""
    lower = [module for module in MODULES if package_of(module) not in MAY_IMPORT_DAGSTER]
    libraries = {path_of(module): {name.split(".")[0] for name in imports(module)} for module in lower}
    assert [name for name, known in libraries.items() if any(one.startswith("dagster") for one in known)] == []


def test_only_the_api_package_imports_the_http_library() -> None:
    """Of the packages that run in production only `api` uses httpx; `cli` checks that a local server is up."""
    users = {package_of(m) for m in MODULES if any(name.split(".")[0] == "httpx" for name in imports(m))}
    assert users - {"sandbox", "cli"} == {"api"}


def test_only_settings_read_the_environment() -> None:
    """Other packages take what they need from the settings."""
    names = {"environ", "environb", "getenv", "putenv", "unsetenv"}
    used = [
        f"{path_of(module)}: {ast.unparse(node)}"
        for module in MODULES
        if package_of(module) not in MAY_USE_THE_ENVIRONMENT
        for node in ast.walk(parse(module))
        if (isinstance(node, ast.Attribute) and node.attr in names and ast.unparse(node.value) == "os")
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and names & {a.name for a in node.names})
    ]
    assert used == []


def test_every_module_has_a_docstring() -> None:
    """The first line of a module's docstring is a sentence."""
    first_lines = {path_of(m): (ast.get_docstring(parse(m)) or "").split("\n")[0] for m in MODULES}
    assert [name for name, line in first_lines.items() if not line.endswith((".", ":"))] == []


def test_no_module_is_too_long() -> None:
    """No module has more than 400 lines."""
    lines = {path_of(module): len(module.read_text(encoding="utf-8").splitlines()) for module in MODULES}
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}


def test_names_of_other_packages_are_imported_from_the_package() -> None:
    """A module imports a name of another package from the package, whose `__init__.pyi` lists its public names."""
    wrong = [
        f"{path_of(module)}: from {node.module} import {alias.name}"
        for module in MODULES
        for node in ast.walk(parse(module))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}.")
        for alias in node.names
        if len(parts := str(node.module).split(".")) > 2 and parts[1] != package_of(module)
    ]
    assert wrong == []


def test_every_public_name_is_used_by_another_package() -> None:
    """`__init__.pyi` of a package lists the names other packages use, and no more."""
    used = {name for module in MODULES for name in imports(module)} | {
        f"{PACKAGE}.{ast.unparse(node)}"  # such as `duplication.Ledger`
        for module in MODULES
        for node in ast.walk(parse(module))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    listed = {
        f"{PACKAGE}.{stub.parent.relative_to(ROOT).as_posix().replace('/', '.')}.{alias.asname}"
        for stub in ROOT.rglob("__init__.pyi")
        if stub.parent != ROOT  # its names are for the projects of users
        for node in ast.walk(ast.parse(stub.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert listed - used == set()


@pytest.mark.slow
def test_tests_replace_nothing_in_the_product() -> None:
    """No test sets an attribute through monkeypatch; tests change settings, the sandbox and the environment."""
    patched = [
        f"{module.name}:{node.lineno}"
        for module in sorted(Path(__file__).parent.rglob("*.py"))
        for node in ast.walk(parse(module))
        if isinstance(node, ast.Attribute) and node.attr in {"setattr", "delattr"}
    ]
    assert patched == []


def test_nothing_is_imported_by_a_star() -> None:
    """No module imports all names of another."""
    assert [path_of(module) for module in MODULES if any(name.endswith(".*") for name in imports(module))] == []


def test_no_module_is_called_utils() -> None:
    """A module is named for its subject."""
    assert [m for m in MODULES if m.stem in {"utils", "util", "helpers", "common", "misc"}] == []
