"""Print lines on the terminal with control characters escaped."""

import typer

from tiktok_assets.escaping import escape_control_characters


def print_line(line: str) -> None:
    """Print one line; control characters and line ends in it are shown as their escape."""
    typer.echo(escape_control_characters(line))


def log_line(line: str) -> None:
    """Print one line of progress, beside the data and never in it."""
    typer.echo(escape_control_characters(line), err=True)


def print_text(text: str) -> None:
    """Print a text of several lines of ours; names in it have no line ends left."""
    for line in text.split("\n"):
        print_line(line)
