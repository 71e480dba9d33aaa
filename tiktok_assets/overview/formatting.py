"""Format amounts, counts, dates and statuses for people."""

from datetime import date, datetime
from decimal import Decimal

from tiktok_assets.spec import format_amount

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
    """Format an amount to the currency's minor unit, with its currency.

    >>> money(Decimal("1234.5"), "EUR")
    '1,234.50 EUR'
    """
    return NO_VALUE if amount is None else f"{format_amount_without_currency(amount, currency)} {currency}"


def format_amount_without_currency(amount: Decimal | None, currency: str) -> str:
    """Format an amount to the currency's minor unit, without its currency."""
    return NO_VALUE if amount is None else format_amount(amount, currency)


def format_exact(value: Decimal | float | None) -> str:
    """Format a number with all of its digits and without separators; empty if there is none."""
    if value is None:
        return ""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def format_ratio(value: float | None) -> str:
    """Format a ratio such as ROAS to two places."""
    return NO_VALUE if value is None else f"{value:,.2f}"


def format_count(number: int | None) -> str:
    """Format a count with thousands separators."""
    return NO_VALUE if number is None else f"{number:,}"


def format_percent(share: float | Decimal | None, places: int = 0) -> str:
    """Format a share as percent; a positive share that rounds to zero is shown as less than the smallest step."""
    if share is None:
        return NO_VALUE
    text = f"{share:.{places}%}"
    return f"<{10**-places:.{places}f}%" if share > 0 and not float(text[:-1]) else text


def format_change(share: float | Decimal | None) -> str:
    """Format a change as percent with its sign, capped at 1000%."""
    if share is None:
        return NO_VALUE
    if share >= 10:  # noqa: PLR2004 - the cap of the next line
        return "over +999%"
    text = f"{share:+.0%}"
    return "0%" if text in {"+0%", "-0%"} else text.replace("-", "\N{MINUS SIGN}")


def format_status(value: str | None) -> str:
    """Format TikTok's secondary status in plain words.

    >>> status("AD_STATUS_DELIVERY_OK")
    'delivering'
    """
    name = value or ""
    for prefix in _STATUS_PREFIXES:
        name = name.removeprefix(prefix)
    return _STATUS_LABELS.get(name, name.replace("_", " ").lower() or NO_VALUE)


def format_day(value: date | None) -> str:
    """Format a calendar day."""
    return value.isoformat() if value else NO_VALUE


def format_instant(value: datetime | None) -> str:
    """Format an instant to the minute in UTC."""
    return f"{value:%Y-%m-%d %H:%M} UTC" if value else NO_VALUE
