"""Currencies and TikTok's budget rules: decimals, minimums, limits and budget modes (API notes 8.6).

Amounts are written with the decimals of ISO 4217. The decimals of a budget follow TikTok's own table, in which
forint, rupiah and Taiwan dollars have none.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

INFINITE_BUDGET, TOTAL_BUDGET, DAILY_BUDGET = "BUDGET_MODE_INFINITE", "BUDGET_MODE_TOTAL", "BUDGET_MODE_DAY"
DYNAMIC_DAILY_BUDGET = "BUDGET_MODE_DYNAMIC_DAILY_BUDGET"

AD_GROUP_BUDGET_MODES = {
    INFINITE_BUDGET: (TOTAL_BUDGET, DAILY_BUDGET, DYNAMIC_DAILY_BUDGET),
    TOTAL_BUDGET: (TOTAL_BUDGET, DAILY_BUDGET, DYNAMIC_DAILY_BUDGET),
    DAILY_BUDGET: (DAILY_BUDGET, DYNAMIC_DAILY_BUDGET),
}
"""The budget modes an ad group can have, by its campaign's mode; ignored if the campaign sets budgets (CBO)."""

DYNAMIC_BUDGET_OBJECTIVES = frozenset({"TRAFFIC", "APP_PROMOTION", "WEB_CONVERSIONS", "LEAD_GENERATION"})
"""Objectives whose daily budgets must be dynamic. Source: mengxingxinqing/tiktok_ads, create_an_ad_group."""

MIN_AD_GROUP_BUDGET, BUDGET_LIMIT = Decimal(20), Decimal(10_000_000)
"""The smallest daily budget, and the amount every budget must stay below; US dollars times `BudgetRules.ratio`."""

MAX_AD_GROUPS_PER_CAMPAIGN, MAX_ADS_PER_AD_GROUP = 999, 50
"""Limits of a campaign and an ad group (API notes 5.7); campaign types with lower limits are not duplicated."""


ZERO_DECIMAL_CURRENCIES = frozenset(
    (
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    )
)
"""Currencies without a minor unit (ISO 4217)."""


def currency_decimals(currency: str) -> int:
    """Return the number of decimals of an amount."""
    return 0 if currency in ZERO_DECIMAL_CURRENCIES else 2


def format_amount(amount: Decimal, currency: str) -> str:
    """Format an amount with the decimals of its currency, without the currency's code.

    >>> format_amount(Decimal("1234.5"), "EUR"), format_amount(Decimal("1234.5"), "JPY")
    ('1,234.50', '1,235')
    """
    return f"{amount.quantize(Decimal(1).scaleb(-currency_decimals(currency)), ROUND_HALF_UP):,}"


def format_amount_with_currency(amount: Decimal, currency: str) -> str:
    """Format an amount with the decimals and the code of its currency, such as `1,234.50 EUR`."""
    return f"{format_amount(amount, currency)} {currency}".rstrip()


@dataclass(frozen=True, slots=True)
class BudgetRules:
    """TikTok's rules for budgets in one currency.

    Attributes:
        ratio: the factor of the limits in US dollars (TikTok's "budget verification ratio").
        decimals: how many decimals a budget can have.
    """

    ratio: Decimal
    decimals: int


_BUDGET_RULES_TEXT = """
    USD 1 2
    EUR 1 2
    JPY 100 0
    HKD 10 2
    GBP 1 2
    MYR 1 2
    RUB 100 2
    ZAR 10 2
    KRW 1000 0
    AED 1 2
    SAR 1 2
    HUF 1 0
    PLN 4 2
    DKK 10 2
    SEK 10 2
    NOK 10 2
    TRY 10 2
    MXN 10 2
    THB 10 2
    AUD 1 2
    CAD 1 2
    NZD 1 2
    SGD 1 2
    CHF 1 2
    CNY 10 2
    DZD 100 2
    ARS 1 2
    BDT 100 2
    BOB 10 2
    BRL 1 2
    CLP 1000 0
    COP 1000 2
    CRC 1000 2
    CZK 10 2
    EGP 10 2
    GTQ 10 2
    HNL 10 2
    ISK 100 0
    INR 100 2
    IDR 10000 0
    ILS 1 2
    KES 100 2
    MOP 10 2
    TWD 10 0
    NIO 10 2
    NGN 100 2
    PKR 100 2
    PYG 10000 0
    PEN 1 2
    PHP 50 2
    QAR 1 2
    RON 1 2
    UAH 10 2
    UYU 10 2
    VEF 100000 2
    VND 10000 0
"""
"""One currency per line: code, ratio and decimals.

Source: mengxingxinqing/tiktok_ads, budget_verification_ratio_and_value_range_for_each_currency (commit f589e74,
2026-04-18); its tables of minimums and maximums follow from the ratios of all 56 currencies.
"""

BUDGET_RULES = {
    code: BudgetRules(Decimal(ratio), int(digits))
    for code, ratio, digits in (line.split() for line in _BUDGET_RULES_TEXT.strip().splitlines())
}
"""The rules by currency code; TikTok documents no others."""
