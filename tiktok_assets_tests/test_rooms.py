"""Laws of the house: which room may see which, what only some rooms may touch, and how big a room may be."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import tiktok_assets

PACKAGE = "tiktok_assets"
HOME = Path(str(tiktok_assets.__file__)).parent
MOST_LINES = 400

FLOORS = {
    "__main__": 8,  # the command line under another name
    "cli": 7,
    "commands": 7,
    "definitions": 6,
    "defs": 5,
    "webserver": 5,  # Dagster's webserver and the pages, behind the guard
    "scaling": 4,
    "refresh": 4,
    "overview": 4,
    "checking": 4,
    "session": 4,  # settings become a client, a store and a reader, for Dagster and for the command line
    "instance": 4,  # uses settings and storage
    "storage": 3,
    "api": 2,
    "tables": 2,
    "column_types": 2,
    "plain_rows": 1,
    "values": 2,
    "totals": 2,
    "refusals": 2,
    "row_checks": 2,
    "days": 2,
    "spec": 1,
    "settings": 1,
    "setting_values": 1,
    "charts": 1,
    "owner_only": 1,
    "escaping": 0,  # every room shows names
    "sandbox": 1,
}

NEIGHBOURS = {
    ("settings", "spec"): "settings name reports and metrics, and refuse one that is not in the catalogue",
    ("settings", "setting_values"): "what a value may be stands beside the table of the settings",
    ("api", "values"): "an instant outside of a row is written as one in a row is, and read in the one place",
    ("tables", "column_types"): "a table's columns have their types, and text becomes them",
    ("column_types", "days"): "a value that does not fit is refused in the calendar's words",
    ("column_types", "values"): "what the API writes for nothing is said once",
    ("tables", "days"): "a row says whether its day was whole, which is a matter of the account's calendar",
    ("tables", "values"): "a row is made of values, each converted in the one place",
    ("tables", "row_checks"): "rows that are not as they should be are looked at value by value",
    ("row_checks", "column_types"): "what is made value by value has the types of its columns",
    ("row_checks", "values"): "a row is made of values, each converted in the one place",
    ("session", "refresh"): "a session holds the reader, which lives with the refresh",
    ("session", "scaling"): "a session puts the duplicator together, for Dagster and for the command line",
    ("checking", "refresh"): "a stored day's notes are read as the refresh wrote them",
    ("overview", "refresh"): "how fresh a day is stands in the notes the refresh left",
    ("cli", "commands"): "the command line is put together from the commands",
}
"""The imports along a floor that are allowed, each with its reason."""

MAY_SEE_THE_SANDBOX = {"sandbox", "cli", "commands"}
MAY_IMPORT_DAGSTER = {"webserver", "defs", "definitions", "instance", "cli", "commands"}
MAY_TOUCH_THE_ENVIRONMENT = {"settings", "instance", "commands"}

MODULES = sorted(HOME.rglob("*.py"))


def room_of(module: Path) -> str:
    """The room a module stands in; the package's own docstring stands in none."""
    return module.relative_to(HOME).parts[0].removesuffix(".py")


@cache
def parsed(module: Path) -> ast.Module:
    """A module as Python reads it."""
    return ast.parse(module.read_text(encoding="utf-8"))


def name_of(module: Path) -> str:
    """A module's path inside the package."""
    return module.relative_to(HOME).as_posix()


def imports(module: Path) -> Iterator[str]:
    """Every dotted name a module imports, anywhere in it."""
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively; the one import path begins at {PACKAGE}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_seen(module: Path) -> set[str]:
    """The other rooms a module imports from."""
    seen = {name.split(".")[1] for name in imports(module) if name.startswith(f"{PACKAGE}.")}
    return seen - {room_of(module)}


def test_every_room_has_a_floor() -> None:
    """A new room is given a floor before it is built."""
    assert {room_of(module) for module in MODULES} - FLOORS.keys() == {"__init__"}


def test_a_room_sees_only_what_lies_below() -> None:
    """A module imports from its own room, from floors below, or from a neighbour with a reason."""
    wrong = [
        f"{name_of(module)} sees {room}"
        for module in MODULES
        for room in sorted(rooms_seen(module) - {"sandbox"})
        if FLOORS[room] >= FLOORS.get(room_of(module), 0) and (room_of(module), room) not in NEIGHBOURS
    ]
    assert wrong == []


def test_a_permission_nobody_needs_is_withdrawn() -> None:
    """Each allowed neighbour is one that is seen."""
    used = {(room_of(module), room) for module in MODULES for room in rooms_seen(module)}
    assert NEIGHBOURS.keys() - used == set()


def test_the_sandbox_is_a_house_of_its_own() -> None:
    """The sandbox sees no other room, and no room that runs in production sees the sandbox."""
    for module in MODULES:
        if room_of(module) == "sandbox":
            assert rooms_seen(module) == set(), name_of(module)
        elif room_of(module) not in MAY_SEE_THE_SANDBOX:
            assert "sandbox" not in rooms_seen(module), name_of(module)


def test_dagster_stays_upstairs() -> None:
    """Only the upper floors import Dagster: reading, storing and deciding work without it."""
    downstairs = [module for module in MODULES if room_of(module) not in MAY_IMPORT_DAGSTER]
    libraries = {name_of(module): {name.split(".")[0] for name in imports(module)} for module in downstairs}
    assert [name for name, known in libraries.items() if any(one.startswith("dagster") for one in known)] == []


def test_one_mouth_speaks_http() -> None:
    """Of the rooms that run in production only `api/` imports the HTTP library."""
    speakers = {room_of(m) for m in MODULES if any(name.split(".")[0] == "httpx" for name in imports(m))}
    assert speakers - {"sandbox", "commands"} == {"api"}


def test_the_environment_is_touched_only_where_it_is_told() -> None:
    """What a process does is decided by its settings: no other room reads or writes the environment."""
    words = {"environ", "environb", "getenv", "putenv", "unsetenv"}
    touched = [
        f"{name_of(module)}: {ast.unparse(node)}"
        for module in MODULES
        if room_of(module) not in MAY_TOUCH_THE_ENVIRONMENT
        for node in ast.walk(parsed(module))
        if (isinstance(node, ast.Attribute) and node.attr in words and ast.unparse(node.value) == "os")
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and words & {a.name for a in node.names})
    ]
    assert touched == []


def test_a_module_says_what_it_owns() -> None:
    """Every module opens with a docstring whose first line is a sentence."""
    openings = {name_of(m): (ast.get_docstring(parsed(m)) or "").split("\n")[0] for m in MODULES}
    assert [name for name, opening in openings.items() if not opening.endswith((".", ":"))] == []


def test_a_module_fits_in_the_head() -> None:
    """No module has more than four hundred lines."""
    lines = {name_of(module): len(module.read_text(encoding="utf-8").splitlines()) for module in MODULES}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_there_is_one_way_to_import_a_name() -> None:
    """A package's `__init__` hands on no names of its modules, and nobody imports a star."""
    assert [name_of(module) for module in MODULES if any(name.endswith(".*") for name in imports(module))] == []
    for module in HOME.rglob("__init__.py"):
        inside = ".".join(module.relative_to(HOME.parent).parent.parts)
        assert [name for name in imports(module) if name.startswith(f"{inside}.")] == []


def test_no_room_is_called_utils() -> None:
    """A helper lives with its only caller or in a room with a name."""
    assert [m for m in MODULES if m.stem in {"utils", "util", "helpers", "common", "misc"}] == []
