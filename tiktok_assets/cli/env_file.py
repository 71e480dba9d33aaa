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
"""Values that mean themselves in a `.env`; neither our hosts nor TikTok's tokens and days have others."""


def check_writable(path: Path) -> None:
    """Prove that the file could be replaced, before anything is spent on its new content.

    Raises:
        Problem: naming the file and the mend.
    """
    with _temporary_sibling(path) as (target, probe):
        if target.exists():
            _read_text(target)
        os.close(_create_private_file(probe))


def set_variables(path: Path, values: Mapping[str, str]) -> None:
    """Replace the file whole or not at all, readable by its owner alone; a line that already says so stays.

    Raises:
        Problem: if a value would not be read back as it is, or the file cannot be written.
    """
    for name, value in values.items():
        if not _UNQUOTED_VALUE.fullmatch(value):
            raise CommandError(f"{name} has characters that a .env does not hold; nothing was written.")
    with _temporary_sibling(path) as (target, unfinished):
        text = merge_variables(_read_text(target) if target.exists() else "", values)
        with os.fdopen(_create_private_file(unfinished), "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)


def merge_variables(text: str, values: Mapping[str, str]) -> str:
    r"""A `.env` with these variables set: each line that set one of them, or else a new line at the end.

    >>> merged("# mine\nA=1", {"A": "2", "B": "3"})
    '# mine\nA=2\nB=3\n'
    """
    bindings = list(parse_stream(StringIO(text, newline="")))
    lines = [_replace_line(binding, values) for binding in bindings]
    known = {_variable_name(binding) for binding in bindings}
    new = [f"{name}={value}\n" for name, value in values.items() if name not in known]
    if new and lines and not lines[-1].endswith(("\n", "\r")):
        lines.append("\n")
    return "".join(lines + new)


def _variable_name(binding: Binding) -> str:
    return (binding.key or "").upper()  # settings are read whatever their case


def _replace_line(binding: Binding, values: Mapping[str, str]) -> str:
    was, name = binding.original.string, _variable_name(binding)
    if name not in values or binding.value == values[name]:
        return was
    before, after = was[: len(was) - len(was.lstrip())], was[len(was.rstrip("\r\n")) :]
    return f"{before}{name}={values[name]}{after}"


def _read_text(target: Path) -> str:
    return target.read_bytes().decode()


def _create_private_file(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, OWNER_ONLY_MODE)


@contextmanager
def _temporary_sibling(path: Path) -> Iterator[tuple[Path, Path]]:
    """The file itself, behind any link, and a name in its folder that is gone afterwards."""
    try:
        target = path.resolve()
        unfinished = target.with_name(f"{target.name}.{uuid4().hex}.unfinished")
        try:
            yield target, unfinished
        finally:
            unfinished.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise CommandError(
            f"cannot write {path.absolute()}: {reason}; run this in a folder you may write to."
        ) from error
