"""Write Markdown for the generated documents."""

from collections.abc import Iterable, Iterator, Sequence

WRITTEN_BY = "<!-- written by `python -m tiktok_assets_tests.test_docs`; do not edit -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
