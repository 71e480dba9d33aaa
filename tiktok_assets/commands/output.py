"""Lines on the terminal: the one place where a command speaks, so that no name in them is obeyed."""

import typer

from tiktok_assets.escaping import visible


def say(line: str) -> None:
    """Print one line; control characters and line ends in it are shown as their escape."""
    typer.echo(visible(line))


def tell(line: str) -> None:
    """Print one line of progress, beside the data and never in it."""
    typer.echo(visible(line), err=True)


def say_text(text: str) -> None:
    """Print a text of several lines of ours; names in it have no line ends left."""
    for line in text.split("\n"):
        say(line)
