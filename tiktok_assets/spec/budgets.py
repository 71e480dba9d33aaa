"""What budgets may be: minima, range, precision and which modes go together (tiktok_api.md section 8.6)."""

from decimal import Decimal

INFINITE, TOTAL, DAY = "BUDGET_MODE_INFINITE", "BUDGET_MODE_TOTAL", "BUDGET_MODE_DAY"
DYNAMIC = "BUDGET_MODE_DYNAMIC_DAILY_BUDGET"

AD_GROUP_MODES = {INFINITE: (TOTAL, DAY, DYNAMIC), TOTAL: (TOTAL, DAY, DYNAMIC), DAY: (DAY, DYNAMIC)}
"""The modes an ad group may have under each mode of its campaign; under CBO its budget is ignored."""

DYNAMIC_OBJECTIVES = frozenset({"TRAFFIC", "APP_PROMOTION", "WEB_CONVERSIONS", "LEAD_GENERATION"})
"""Under these a daily budget is asked for as a dynamic one (mengxingxinqing/tiktok_ads, create_an_ad_group)."""

AD_GROUP_MINIMUM, BUDGET_LIMIT = Decimal(20), Decimal(10_000_000)
"""Of a day, and what a budget must stay below; in US dollars, times the ratio of `currencies.BUDGET_RULES`."""

MAX_AD_GROUPS_OF_CAMPAIGN, MAX_ADS_OF_AD_GROUP = 999, 50
"""Limits of the structure (dossier 5.7); kinds with smaller ones are not copied."""
