"""Print lines on the terminal with control characters escaped.

All commands print through this module, `rendering` or `progress`, so that a name from TikTok cannot control the
terminal.
"""

import typer

from tiktok_assets.escaping import escape_control_characters


def print_line(line: str) -> None:
    """Print one line to standard output; control characters and line breaks in it are escaped."""
    typer.echo(escape_control_characters(line))


def log_line(line: str) -> None:
    """Print one line of progress to standard error; control characters and line breaks in it are escaped."""
    typer.echo(escape_control_characters(line), err=True)


def print_text(text: str) -> None:
    """Print a text of several lines; names in it must have no line breaks."""
    for line in text.split("\n"):
        print_line(line)
