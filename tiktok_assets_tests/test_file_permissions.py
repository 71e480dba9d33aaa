"""Tests of file permissions: files and folders of this program are private, whatever existed before."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from stat import S_IMODE, S_ISLNK
from tempfile import TemporaryDirectory

import pytest

from tiktok_assets.alerts.delivery import write_alert_files
from tiktok_assets.file_permissions import (
    create_private_file,
    create_private_folder,
    restrict_file,
    write_private_file,
)
from tiktok_assets.storage.state import State

ALERT = {"title": "An ad overtook", "html": "<p>text</p>", "text": "text"}


@pytest.fixture(params=[0o022, 0o000, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Different permissions that new files get by default."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def find_shared_paths(folder: Path) -> list[str]:
    """Return the paths of a folder that other users can access, except for links."""
    paths = [folder, *folder.rglob("*")]
    modes = {path: path.lstat().st_mode for path in paths}
    return [str(path) for path, mode in modes.items() if mode & 0o077 and not S_ISLNK(mode)]


@pytest.mark.usefixtures("umask")
def test_created_files_are_private(tmp_path: Path) -> None:
    """Created folders and files have the modes 0700 and 0600 with any umask."""
    folder = create_private_folder(tmp_path / "deep" / "state")
    create_private_file(folder / "one")
    write_private_file(folder / "two", b"content")
    assert S_IMODE(folder.stat().st_mode) == 0o700
    assert [S_IMODE((folder / name).stat().st_mode) for name in ("one", "two")] == [0o600, 0o600]
    assert (folder / "two").read_bytes() == b"content"


def test_existing_folder_is_restricted(tmp_path: Path) -> None:
    """An existing folder is restricted with all its content; contents and targets of links are unchanged."""
    folder, outside = tmp_path / "state", tmp_path / "outside"
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "run.log").write_text("log")
    outside.write_text("outside of the folder")
    outside.chmod(0o644)
    (folder / "link").symlink_to(outside)
    for path, mode in ((folder, 0o777), (folder / "logs", 0o755), (folder / "logs" / "run.log", 0o666)):
        path.chmod(mode)
    create_private_folder(folder)
    assert find_shared_paths(folder) == []
    assert (folder / "logs" / "run.log").read_text() == "log"
    assert S_IMODE(outside.stat().st_mode) == 0o644
    assert os.access(folder / "logs" / "run.log", os.R_OK)


def test_restricted_program_stays_executable(tmp_path: Path) -> None:
    """Only permissions of other users are removed: the owner can still run an executable file."""
    program = tmp_path / "program"
    program.write_text("")
    program.chmod(0o755)
    assert restrict_file(program)
    assert not restrict_file(program)
    assert S_IMODE(program.stat().st_mode) == 0o700


def test_write_replaces_a_link_not_its_target(tmp_path: Path) -> None:
    """Writing to a path that is a link replaces the link; its target is unchanged."""
    victim = tmp_path / "victim"
    victim.write_text("old")
    (tmp_path / "file").symlink_to(victim)
    write_private_file(tmp_path / "file", b"new")
    assert victim.read_text() == "old"
    assert not (tmp_path / "file").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "victim"]


OTHER_USER = """
import os, sys
from pathlib import Path
from tiktok_assets.file_permissions import UnsafeLocationError, create_private_file, create_private_folder
if os.geteuid() == 0:
    os.setuid(65534)
calls = (
    (create_private_folder, "open"),
    (create_private_folder, "link"),
    (create_private_file, "link"),
    (create_private_folder, "mounted"),
)
for create, name in calls:
    try:
        create(Path(sys.argv[1]) / name)
    except UnsafeLocationError as error:
        print(error.strerror)
    else:
        print("created")
"""


def test_location_of_another_user_is_rejected() -> None:
    """A link of another user and their world-writable folder are rejected; their mounted volume is accepted."""
    with TemporaryDirectory() as place:  # another user must be able to reach it
        top = Path(place)
        top.chmod(0o755)
        for name, mode in (("open", 0o777), ("mounted", 0o775), ("target", 0o755)):
            (top / name).mkdir()
            (top / name).chmod(mode)
        (top / "link").symlink_to(top / "target")
        if os.geteuid() == 0:  # links of root are trusted, links of other users are not
            os.chown(top / "link", 65533, 65533, follow_symlinks=False)
        done = subprocess.run(  # noqa: S603 - this interpreter
            [sys.executable, "-c", OTHER_USER, place], capture_output=True, text=True, check=True, cwd="/"
        )
    lines = done.stdout.splitlines()
    if os.geteuid() == 0:
        assert "chmod o-w" in lines[0]
        assert "link of another user" in lines[1]
        assert lines[1] == lines[2]
        assert lines[3] == "created"
    else:  # all paths belong to this user
        assert lines == ["created"] * 4


@pytest.mark.usefixtures("umask")
def test_state_database_is_private(tmp_path: Path) -> None:
    """The database, its log and its shared memory have the mode 0600, even if the database was readable before."""
    path = tmp_path / "state" / "state.sqlite"
    path.parent.mkdir()
    path.touch()
    path.chmod(0o644)
    state = State(f"sqlite:///{path}")
    with state.transaction():
        names = {one.name for one in path.parent.iterdir()}
        assert {"state.sqlite-wal", "state.sqlite-shm"} <= names
        assert [one for one in find_shared_paths(path.parent) if one != str(path.parent)] == []
    state.close()


@pytest.mark.usefixtures("umask")
def test_alert_files_are_private(tmp_path: Path) -> None:
    """Files of alerts, including older ones, have the mode 0600 in a folder of 0700."""
    folder = tmp_path / "alerts"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "old.json").write_text("{}")
    (folder / "old.json").chmod(0o644)
    page = write_alert_files(folder, "new", "new_top_spender", ALERT)
    assert page.read_text()
    assert json.loads((folder / "new.json").read_text())["title"] == ALERT["title"]
    assert find_shared_paths(folder) == []
