"""Create files and folders that only their owner can read, and restrict existing ones with wider permissions.

Permissions are set explicitly, so that they do not depend on the umask. On systems without POSIX permissions
(Windows) the functions only create.
"""

import os
import stat
from pathlib import Path

FOLDER_MODE, FILE_MODE = 0o700, 0o600
_GROUP_AND_OTHERS = 0o077
_ROOT_UID = 0


class UnsafeLocationError(PermissionError):
    """Another user could replace the content, through their symbolic link or their world-writable folder."""


def create_private_folder(folder: Path) -> Path:
    """Create a folder that only its owner can enter; restrict an existing one with all its content if it is wider.

    A folder of another user, such as a mounted volume, and a folder that contains the working directory, such as a
    project, keep their permissions. Files created in them by this module are private nevertheless.

    Args:
        folder: the folder to create; its parents are created with the system's default permissions.

    Raises:
        UnsafeLocationError: if another user could replace its content.
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
    status = folder.stat()
    if os.geteuid() not in {status.st_uid, _ROOT_UID}:
        if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            raise UnsafeLocationError(None, f"all users can write to it; its owner must run `chmod o-w {folder}`")
    elif status.st_mode & _GROUP_AND_OTHERS and not Path.cwd().is_relative_to(folder.resolve()):
        folder.chmod(FOLDER_MODE)  # before its content: from here on no other user can reach it
        for path in folder.rglob("*"):
            _restrict_path(path)
    return folder


def create_private_file(path: Path) -> Path:
    """Create an empty file that only its owner can read; restrict an existing one without changing its content.

    Raises:
        UnsafeLocationError: if it is a symbolic link of another user.
        OSError: if it cannot be created.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE))
    except FileExistsError:
        _reject_foreign_link(path)
        restrict_file(path)
    return path


def restrict_file(path: Path) -> bool:
    """Remove the permissions of other users from a file of this user; return whether they had any."""
    if os.name != "posix":
        return False
    status = path.stat()
    if not status.st_mode & _GROUP_AND_OTHERS or os.geteuid() not in {status.st_uid, _ROOT_UID}:
        return False
    path.chmod(stat.S_IMODE(status.st_mode) & ~_GROUP_AND_OTHERS)
    return True


def write_private_file(path: Path, content: bytes) -> None:
    """Replace a file atomically by one that only its owner can read.

    Raises:
        OSError: if it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _reject_foreign_link(path: Path) -> None:
    """Reject a symbolic link of another user, who could point it anywhere.

    Raises:
        UnsafeLocationError: if the path is such a link.
    """
    if os.name != "posix":
        return
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode) and status.st_uid not in {os.geteuid(), _ROOT_UID}:
        raise UnsafeLocationError(
            None, f"{path} is a symbolic link of another user; set a path that belongs to you"
        )


def _restrict_path(path: Path) -> None:
    """Remove the permissions of other users from a path; symbolic links are skipped with their targets."""
    try:
        mode = path.lstat().st_mode
        if mode & _GROUP_AND_OTHERS and not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & ~_GROUP_AND_OTHERS)
    except OSError:  # deleted meanwhile, or of another user; the restricted folder protects it
        return
