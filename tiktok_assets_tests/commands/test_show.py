"""Laws of what a terminal shows."""

from decimal import Decimal
from io import StringIO

import pytest
from rich.console import Console

from tiktok_assets.commands.show import as_text, print_rows


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("1602310.0000", "JPY", "1,602,310"),
        ("1602310.5000", "JPY", "1,602,310.50"),  # what was stored is never hidden
        ("6789.0100", "EUR", "6,789.01"),
        ("0.0123", "USD", "0.0123"),
        ("7.0000", "", "7.00"),
    ],
)
def test_an_amount_has_the_digits_of_its_currency(amount: str, currency: str, shown: str) -> None:
    """Yen have no cents; digits that are there are shown."""
    assert as_text(Decimal(amount), currency) == shown


ROWS = [
    {"ad_id": "1874007355959231", "ad_name": "POV first try | v1", "spend": Decimal("6916.44"), "share": 0.386},
    {"ad_id": "1881705031931946", "ad_name": "Unboxing UGC | v4", "spend": Decimal("1276.59"), "share": 0.532},
]


@pytest.mark.parametrize(("width", "is_table"), [(120, True), (60, True), (44, False), (30, False)])
def test_a_narrow_terminal_breaks_no_id_and_loses_no_name(width: int, *, is_table: bool) -> None:
    """Rows stand in a table where it fits, else in blocks; ids, amounts and every word of a name are there."""
    shown = StringIO()
    print_rows(ROWS, list(ROWS[0]), console=Console(file=shown, width=width, force_terminal=True))
    told = shown.getvalue()
    assert all(word in told for word in ("1874007355959231", "6,916.44", "39%", "Unboxing", "first", "v4"))
    assert ("\N{BOX DRAWINGS LIGHT VERTICAL}" in told) == is_table


def test_a_pipe_gets_no_colours_and_nothing_broken(capsys: pytest.CaptureFixture[str]) -> None:
    """However long a name, its row is one line, without the codes of a terminal."""
    print_rows([ROWS[0] | {"ad_name": "word " * 60}], list(ROWS[0]), title="Ads")
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert any(line.count("word") == 60 for line in told.splitlines())
