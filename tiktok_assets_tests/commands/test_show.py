"""Laws of what a terminal shows."""

from decimal import Decimal

import pytest

from tiktok_assets.commands.show import as_text


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
