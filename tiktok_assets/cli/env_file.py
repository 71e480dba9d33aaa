"""Set variables in the `.env` file of the working directory and keep all other lines."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from uuid import uuid4

from dotenv.parser import Binding, parse_stream

from tiktok_assets.cli.errors import CommandError

ENV_FILE = Path(".env")
OWNER_ONLY_MODE = 0o600

_UNQUOTED_VALUE = re.compile(r"[A-Za-z0-9._~+/=:@-]+")
"""Values that need no quotes in a `.env`; the URLs, tokens and dates written here have no other characters."""


def check_writable(path: Path) -> None:
    """Check that the file can be replaced, before a code that works once is used to get its content.

    Raises:
        CommandError: if the file or its folder cannot be written.
    """
    with _temporary_sibling(path) as (target, probe):
        if target.exists():
            _read_text(target)
        os.close(_create_private_file(probe))


def set_variables(path: Path, values: Mapping[str, str]) -> None:
    """Set variables in a file that only its owner can read; the file is replaced atomically.

    Args:
        path: the file; it is created if it does not exist.
        values: the variables to set; a line that has the value already is kept.

    Raises:
        CommandError: if a value needs quotes, or the file cannot be written.
    """
    for name, value in values.items():
        if not _UNQUOTED_VALUE.fullmatch(value):
            raise CommandError(f"{name} has characters that cannot be stored in .env; nothing was written.")
    with _temporary_sibling(path) as (target, temporary):
        text = merge_variables(_read_text(target) if target.exists() else "", values)
        with os.fdopen(_create_private_file(temporary), "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)


def merge_variables(text: str, values: Mapping[str, str]) -> str:
    r"""Return the text of a `.env` with these variables: existing lines are replaced, new ones are appended.

    >>> merge_variables("# mine\nA=1", {"A": "2", "B": "3"})
    '# mine\nA=2\nB=3\n'
    """
    bindings = list(parse_stream(StringIO(text, newline="")))
    lines = [_replace_line(binding, values) for binding in bindings]
    existing = {_variable_name(binding) for binding in bindings}
    new = [f"{name}={value}\n" for name, value in values.items() if name not in existing]
    if new and lines and not lines[-1].endswith(("\n", "\r")):
        lines.append("\n")
    return "".join(lines + new)


def _variable_name(binding: Binding) -> str:
    return (binding.key or "").upper()  # the names of settings are case-insensitive


def _replace_line(binding: Binding, values: Mapping[str, str]) -> str:
    line, name = binding.original.string, _variable_name(binding)
    if name not in values or binding.value == values[name]:
        return line
    before, after = line[: len(line) - len(line.lstrip())], line[len(line.rstrip("\r\n")) :]
    return f"{before}{name}={values[name]}{after}"


def _read_text(target: Path) -> str:
    return target.read_bytes().decode()


def _create_private_file(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, OWNER_ONLY_MODE)


@contextmanager
def _temporary_sibling(path: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the file that a path links to, and a temporary name in its folder that is deleted afterwards."""
    try:
        target = path.resolve()
        temporary = target.with_name(f"{target.name}.{uuid4().hex}.unfinished")
        try:
            yield target, temporary
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: circular links
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise CommandError(
            f"cannot write {path.absolute()}: {reason}; run this command in a writable folder."
        ) from error
