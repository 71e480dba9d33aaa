"""Laws of privacy on disk: what is ours is its owner's alone, whatever stood there before."""

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
    """Whatever files get that nobody sets the permissions of."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def wide(folder: Path) -> list[str]:
    """What others may read, write or enter of a folder and everything in it; links apart."""
    paths = [folder, *folder.rglob("*")]
    modes = {path: path.lstat().st_mode for path in paths}
    return [str(path) for path, mode in modes.items() if mode & 0o077 and not S_ISLNK(mode)]


@pytest.mark.usefixtures("umask")
def test_what_is_created_is_its_owners_alone(tmp_path: Path) -> None:
    """Folder and files are 0700 and 0600 with any umask."""
    folder = create_private_folder(tmp_path / "deep" / "state")
    create_private_file(folder / "one")
    write_private_file(folder / "two", b"content")
    assert S_IMODE(folder.stat().st_mode) == 0o700
    assert [S_IMODE((folder / name).stat().st_mode) for name in ("one", "two")] == [0o600, 0o600]
    assert (folder / "two").read_bytes() == b"content"


def test_what_stood_there_before_is_tightened(tmp_path: Path) -> None:
    """A folder that others could enter is closed, with all in it; contents and what links lead to stay."""
    folder, outside = tmp_path / "state", tmp_path / "outside"
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "run.log").write_text("log")
    outside.write_text("not ours to change")
    outside.chmod(0o644)
    (folder / "link").symlink_to(outside)
    for path, mode in ((folder, 0o777), (folder / "logs", 0o755), (folder / "logs" / "run.log", 0o666)):
        path.chmod(mode)
    create_private_folder(folder)
    assert wide(folder) == []
    assert (folder / "logs" / "run.log").read_text() == "log"
    assert S_IMODE(outside.stat().st_mode) == 0o644
    assert os.access(folder / "logs" / "run.log", os.R_OK)


def test_a_program_stays_one(tmp_path: Path) -> None:
    """Only what others may do is taken: a file its owner may run can still be run."""
    program = tmp_path / "program"
    program.write_text("")
    program.chmod(0o755)
    assert restrict_file(program)
    assert not restrict_file(program)
    assert S_IMODE(program.stat().st_mode) == 0o700


def test_a_draft_cannot_be_planted(tmp_path: Path) -> None:
    """Replacing a file that is a link replaces the link, and what it led to stays as it was."""
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
from tiktok_assets.file_permissions import SharedPlaceError, create_file, create_folder
if os.geteuid() == 0:
    os.setuid(65534)
acts = (create_folder, "open"), (create_folder, "link"), (create_file, "link"), (create_folder, "mounted")
for act, name in acts:
    try:
        act(Path(sys.argv[1]) / name)
    except SharedPlaceError as error:
        print(error.strerror)
    else:
        print("taken")
"""


def test_what_another_user_could_replace_is_refused() -> None:
    """A link of another user, and their folder open to everyone, are refused; their mounted volume is not."""
    with TemporaryDirectory() as place:  # where another user may look
        top = Path(place)
        top.chmod(0o755)
        for name, mode in (("open", 0o777), ("mounted", 0o775), ("target", 0o755)):
            (top / name).mkdir()
            (top / name).chmod(mode)
        (top / "link").symlink_to(top / "target")
        if os.geteuid() == 0:  # root's links are trusted, another user's are not
            os.chown(top / "link", 65533, 65533, follow_symlinks=False)
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", OTHER_USER, place], capture_output=True, text=True, check=True, cwd="/"
        )
    said = done.stdout.splitlines()
    if os.geteuid() == 0:
        assert "chmod o-w" in said[0]
        assert "link of another user" in said[1]
        assert said[1] == said[2]
        assert said[3] == "taken"
    else:  # all of it is ours, and becomes ours alone
        assert said == ["taken"] * 4


@pytest.mark.usefixtures("umask")
def test_the_state_is_its_owners_alone(tmp_path: Path) -> None:
    """The database, its log and its shared memory are 0600, also where the database was readable before."""
    path = tmp_path / "state" / "state.sqlite"
    path.parent.mkdir()
    path.touch()
    path.chmod(0o644)
    state = State(f"sqlite:///{path}")
    with state.transaction():
        names = {one.name for one in path.parent.iterdir()}
        assert {"state.sqlite-wal", "state.sqlite-shm"} <= names
        assert [one for one in wide(path.parent) if one != str(path.parent)] == []
    state.close()


@pytest.mark.usefixtures("umask")
def test_alerts_are_their_owners_alone(tmp_path: Path) -> None:
    """Pages and data of alerts are 0600 in a folder of 0700, those written before too."""
    folder = tmp_path / "alerts"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "old.json").write_text("{}")
    (folder / "old.json").chmod(0o644)
    page = write_alert_files(folder, "new", "new_top_spender", ALERT)
    assert page.read_text()
    assert json.loads((folder / "new.json").read_text())["title"] == ALERT["title"]
    assert wide(folder) == []
