"""Format amounts, counts, dates and statuses for people."""

from datetime import date, datetime
from decimal import Decimal

from tiktok_assets.spec.money import format_amount

NO_VALUE = "\N{EN DASH}"

_STATUS_PREFIXES = ("CAMPAIGN_STATUS_", "ADGROUP_STATUS_", "AD_STATUS_", "STATUS_")
_STATUS_LABELS = {
    "DELIVERY_OK": "delivering",
    "ENABLE": "on",
    "DISABLE": "off",
    "DELETE": "deleted",
    "CAMPAIGN_DELETE": "campaign deleted",
    "ADGROUP_DELETE": "ad group deleted",
    "CAMPAIGN_DISABLE": "campaign off",
    "ADGROUP_DISABLE": "ad group off",
    "AUDIT": "in review",
    "AUDIT_DENY": "refused in review",
}


def format_money(amount: Decimal | None, currency: str) -> str:
    """An amount to the currency's minor unit, with its currency.

    >>> money(Decimal("1234.5"), "EUR")
    '1,234.50 EUR'
    """
    return NO_VALUE if amount is None else f"{format_amount_without_currency(amount, currency)} {currency}"


def format_amount_without_currency(amount: Decimal | None, currency: str) -> str:
    """The same where the heading names the currency."""
    return NO_VALUE if amount is None else format_amount(amount, currency)


def format_count(number: int | None) -> str:
    """A count with separators."""
    return NO_VALUE if number is None else f"{number:,}"


def format_percent(share: float | Decimal | None, places: int = 0) -> str:
    """A share as percent; what rounds to nothing without being nothing is less than the least."""
    if share is None:
        return NO_VALUE
    told = f"{share:.{places}%}"
    return f"<{10**-places:.{places}f}%" if share > 0 and not float(told[:-1]) else told


def format_change(share: float | Decimal | None) -> str:
    """A change as percent with its sign, capped where it stops saying anything."""
    if share is None:
        return NO_VALUE
    if share >= 10:  # noqa: PLR2004 - it says so
        return "over +999%"
    told = f"{share:+.0%}"
    return "0%" if told in {"+0%", "-0%"} else told.replace("-", "\N{MINUS SIGN}")


def format_status(value: str | None) -> str:
    """TikTok's secondary status in plain words.

    >>> status("AD_STATUS_DELIVERY_OK")
    'delivering'
    """
    short = value or ""
    for prefix in _STATUS_PREFIXES:
        short = short.removeprefix(prefix)
    return _STATUS_LABELS.get(short, short.replace("_", " ").lower() or NO_VALUE)


def format_day(value: date | None) -> str:
    """A calendar day."""
    return value.isoformat() if value else NO_VALUE


def format_instant(value: datetime | None) -> str:
    """An instant to the minute, UTC."""
    return f"{value:%Y-%m-%d %H:%M} UTC" if value else NO_VALUE
