"""List the accounts, currencies, objectives and names that a world is generated from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Currency:
    """A currency: its decimals (API notes 7, 8.6) and its approximate rate to the US dollar."""

    decimals: int
    units_per_dollar: float

    @property
    def minor_per_unit(self) -> int:
        """Return the minor units in one unit."""
        return int(10**self.decimals)


CURRENCIES = {
    "USD": Currency(2, 1.0),
    "JPY": Currency(0, 150.0),
    "EUR": Currency(2, 0.92),
    "GBP": Currency(2, 0.79),
    "AUD": Currency(2, 1.5),
    "CAD": Currency(2, 1.37),
    "BRL": Currency(2, 5.4),
    "INR": Currency(2, 83.0),
    "TWD": Currency(2, 32.0),
    "KRW": Currency(0, 1380.0),
}


@dataclass(frozen=True)
class Account:
    """The attributes of an advertiser account, without its campaigns."""

    name: str
    company: str
    timezone: str  # of the API: may be Etc/GMT+8, whose sign is inverted (API notes 5.3, 9 #18)
    display_timezone: str
    currency: str
    country: str
    language: str
    location_id: str
    website: str
    has_campaigns: bool = True
    granted: bool = True


ACCOUNTS = (
    Account(
        "Sunset Skincare | US",
        "Sunset Skincare Inc.",
        "Etc/GMT+8",
        "America/Los_Angeles",
        "USD",
        "US",
        "en",
        "6252001",
        "https://sunset-skincare.example/",
    ),
    Account(
        "Kumo Audio | JP",
        "Kumo Audio K.K.",
        "Asia/Tokyo",
        "Asia/Tokyo",
        "JPY",
        "JP",
        "ja",
        "1861060",
        "https://kumo-audio.example/",
    ),
    Account(
        "Alpenrad Bikes | DE",
        "Alpenrad GmbH",
        "Europe/Berlin",
        "Europe/Berlin",
        "EUR",
        "DE",
        "de",
        "2921044",
        "https://alpenrad.example/",
    ),
    Account(
        "Harbour Coffee | AU",
        "Harbour Coffee Pty Ltd",
        "Australia/Sydney",
        "Australia/Sydney",
        "AUD",
        "AU",
        "en",
        "2077456",
        "https://harbour-coffee.example/",
        has_campaigns=False,
    ),
    Account(
        "Camden Streetwear | UK",
        "Camden Streetwear Ltd",
        "Europe/London",
        "Europe/London",
        "GBP",
        "GB",
        "en",
        "2635167",
        "https://camden-streetwear.example/",
        granted=False,
    ),
    Account(
        "Maple & Pine | CA",
        "Maple & Pine Ltd",
        "America/Toronto",
        "America/Toronto",
        "CAD",
        "CA",
        "en",
        "6251999",
        "https://maple-pine.example/",
    ),
    Account(
        "Brisa Swim | BR",
        "Brisa Moda Ltda",
        "Etc/GMT+3",
        "America/Sao_Paulo",
        "BRL",
        "BR",
        "pt",
        "3469034",
        "https://brisa-swim.example/",
    ),
    Account(
        "Saffron Kitchen | IN",
        "Saffron Kitchen Pvt Ltd",
        "Asia/Kolkata",
        "Asia/Kolkata",
        "INR",
        "IN",
        "en",
        "1269750",
        "https://saffron-kitchen.example/",
    ),
)


@dataclass(frozen=True)
class Objective:
    """An objective: the defaults of its ad groups (API notes 5.6, 8.2) and its conversion funnel."""

    objective_type: str
    optimization_goal: str
    billing_event: str
    promotion_type: str
    optimization_event: str | None
    result_column: str  # the delivery column that counts its results
    conversions_per_10k_clicks: int
    cpm_cents: int


OBJECTIVES = {
    row.objective_type: row
    for row in (
        Objective("WEB_CONVERSIONS", "CONVERT", "OCPM", "WEBSITE", "SHOPPING", "conversion", 420, 610),
        Objective("TRAFFIC", "CLICK", "CPC", "WEBSITE", None, "clicks", 90, 340),
        Objective("VIDEO_VIEWS", "ENGAGED_VIEW", "CPV", "VIDEO", None, "video_watched_6s", 15, 260),
        Objective("REACH", "REACH", "CPM", "WEBSITE", None, "reach", 12, 210),
        Objective("LEAD_GENERATION", "CONVERT", "OCPM", "LEAD_GENERATION", "FORM", "conversion", 510, 680),
        Objective("APP_PROMOTION", "INSTALL", "OCPM", "APP_ANDROID", "ACTIVE", "conversion", 450, 520),
        Objective("PRODUCT_SALES", "CONVERT", "OCPM", "WEBSITE", "SHOPPING", "conversion", 380, 560),
    )
}

THEMES = (
    ("Prospecting | Always on", "WEB_CONVERSIONS"),
    ("Traffic | Blog readers", "TRAFFIC"),
    ("Awareness | Video views", "VIDEO_VIEWS"),
    ("Autumn sale", "WEB_CONVERSIONS"),
    ("Reach | Brand launch", "REACH"),
    ("Leads | Newsletter", "LEAD_GENERATION"),
    ("Catalogue | Retargeting", "PRODUCT_SALES"),
)
AUDIENCES = ("Broad 18-34", "Broad 25-44", "Lookalike buyers", "Interest: beauty & style", "Retargeting 30d")
HOOKS = (
    "Unboxing UGC",
    "Founder story",
    "Before and after",
    "Three reasons why",
    "Street interview",
    "POV first try",
    "Product demo",
    "Customer review",
    "Trend sound remix",
    "Problem and fix",
)
AGE_GROUPS = (
    ["AGE_18_24", "AGE_25_34"],
    ["AGE_25_34", "AGE_35_44"],
    None,  # null for no restriction (API notes 5.4)
)
CALLS_TO_ACTION = ("LEARN_MORE", "SHOP_NOW", "SIGN_UP", "ORDER_NOW")
