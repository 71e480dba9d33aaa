"""Create files and folders that only their owner can read, and restrict existing ones with wider permissions.

Permissions are set explicitly, so they do not depend on the umask. On systems without POSIX permissions (Windows)
the functions only create.
"""

import os
import stat
from pathlib import Path

FOLDER_MODE, FILE_MODE = 0o700, 0o600
_GROUP_AND_OTHERS = 0o077
_ROOT_UID = 0


class UnsafeLocationError(PermissionError):
    """Another user could replace what is kept there: a link of theirs, or a folder of theirs open to everyone."""


def create_private_folder(folder: Path) -> Path:
    """Create a folder only its owner may enter; tighten an existing one, with everything in it, if it is wider.

    One of another user, such as a mounted volume, and one that this process works in, such as a project, stay as
    they are: the files created in them for their owner alone are private all the same.

    Args:
        folder: its parents are created with the permissions usual on this system.

    Raises:
        SharedPlaceError: if another user could replace what is in it.
        OSError: if it cannot be created.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=FOLDER_MODE)
    except FileExistsError:
        _reject_foreign_link(folder)
        if not folder.is_dir():
            raise
    if os.name != "posix":
        return folder
    found = folder.stat()
    if os.geteuid() not in {found.st_uid, _ROOT_UID}:
        if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
            raise UnsafeLocationError(None, f"everyone may write to it: have its owner run `chmod o-w {folder}`")
    elif found.st_mode & _GROUP_AND_OTHERS and not Path.cwd().is_relative_to(folder.resolve()):
        folder.chmod(FOLDER_MODE)  # first: from here on nobody else reaches what is inside
        for path in folder.rglob("*"):
            _restrict_path(path)
    return folder


def create_private_file(path: Path) -> Path:
    """Create an empty file for its owner alone, or tighten an existing one; its content stays.

    Raises:
        SharedPlaceError: if it is a link that another user made.
        OSError: if it cannot be created.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE))
    except FileExistsError:
        _reject_foreign_link(path)
        restrict_file(path)
    return path


def restrict_file(path: Path) -> bool:
    """Take a file of ours from everyone else; returns whether anybody else could read it before."""
    if os.name != "posix":
        return False
    found = path.stat()
    if not found.st_mode & _GROUP_AND_OTHERS or os.geteuid() not in {found.st_uid, _ROOT_UID}:
        return False
    path.chmod(stat.S_IMODE(found.st_mode) & ~_GROUP_AND_OTHERS)
    return True


def write_private_file(path: Path, content: bytes) -> None:
    """Replace a file's content, whole or not at all, by a file for its owner alone.

    Raises:
        OSError: if it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _reject_foreign_link(path: Path) -> None:
    """Refuse a link that another user made: it leads where they like."""
    if os.name != "posix":
        return
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode) and found.st_uid not in {os.geteuid(), _ROOT_UID}:
        raise UnsafeLocationError(None, f"{path} is a link of another user; name a place of your own")


def _restrict_path(path: Path) -> None:
    """Take a path from everyone else; links are left, since what they lead to is not ours to change."""
    try:
        mode = path.lstat().st_mode
        if mode & _GROUP_AND_OTHERS and not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & ~_GROUP_AND_OTHERS)
    except OSError:  # gone meanwhile, or of another user: the folder above keeps others out
        return
