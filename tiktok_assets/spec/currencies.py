"""How many digits a currency has after the point, and an amount written with them."""

from decimal import ROUND_HALF_UP, Decimal

WITHOUT_CENTS = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF")
)
"""Currencies without a minor unit (ISO 4217); of yen TikTok's limits say so too (tiktok_api.md section 8.6)."""


def decimals(currency: str) -> int:
    """Digits after the point."""
    return 0 if currency in WITHOUT_CENTS else 2


def written(amount: Decimal, currency: str) -> str:
    """An amount to the currency's minor unit, for a heading that names the currency.

    >>> written(Decimal("1234.5"), "EUR"), written(Decimal("1234.5"), "JPY")
    ('1,234.50', '1,235')
    """
    return f"{amount.quantize(Decimal(1).scaleb(-decimals(currency)), ROUND_HALF_UP):,}"
