"""Define the settings, which are read from environment variables and then from `.env`."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import SettingsConfigDict

from tiktok_assets.destination_settings import DestinationSettings
from tiktok_assets.report_selection import select_report_tables, validate_metrics, validate_reports
from tiktok_assets.setting_types import (
    TIER_LIMITS,
    AdvertiserIds,
    Amount,
    AssetKeys,
    Campaigns,
    Cron,
    Currencies,
    DataFolder,
    HostNames,
    Identities,
    KeyPrefix,
    LocalFolder,
    NameList,
    Origin,
    PageUrl,
    Password,
    PastDay,
    RegexPattern,
    ScalingMode,
    SecretUrls,
    Share,
    Tier,
    TimeZones,
)
from tiktok_assets.spec import (
    GMV_MAX_REPORTS_BY_TABLE,
    PATH_RATE_LIMITS,
    REPORTS_BY_TABLE,
    GmvMaxReport,
    Metric,
    Report,
    select_metrics,
)


class SettingsError(Exception):
    """A setting has an invalid value; the message contains the variable, what is wrong and how to fix it."""


class Settings(DestinationSettings):
    """All settings with their defaults and meanings; the alias of a field is its environment variable."""

    # Without `populate_by_name`, so that unrelated variables such as DATA_DIR or METRICS are not settings.
    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True)

    access_token: SecretStr | None = Field(
        None,
        alias="TIKTOK_ACCESS_TOKEN",
        description="long-term access token; stored in the environment or `.env` only, never shown",
    )
    app_id: str | None = Field(None, alias="TIKTOK_APP_ID", description="app id; needed to list new accounts")
    app_secret: SecretStr | None = Field(None, alias="TIKTOK_APP_SECRET", description="app secret")
    base_url: Origin = Field(
        "https://business-api.tiktok.com", alias="TIKTOK_BASE_URL", description="scheme, host and port of the API"
    )
    api_version: Literal["v1.3", "v1.2"] = Field(
        "v1.3",
        alias="TIKTOK_API_VERSION",
        description="version of the API; `v1.2` can only be used by `get` and `top --live`, which store nothing",
    )
    advertiser_ids: AdvertiserIds = Field(
        [],
        alias="TIKTOK_ADVERTISER_IDS",
        description="advertiser ids, comma-separated; empty for all accounts the token can read",
    )
    account_timezone: TimeZones = Field(
        {},
        alias="TIKTOK_ACCOUNT_TIMEZONE",
        description="`advertiser_id:time zone`, comma-separated; for hosts without `advertiser/info`",
    )
    account_currency: Currencies = Field(
        {},
        alias="TIKTOK_ACCOUNT_CURRENCY",
        description="`advertiser_id:currency`, comma-separated; for hosts without `advertiser/info`",
    )
    start_date: PastDay = Field(
        date(2025, 1, 1),
        alias="TIKTOK_START_DATE",
        description="first day of the daily partitions; can be moved back, but not forward",
    )
    lookback_days: int = Field(
        7,
        ge=0,
        le=29,
        alias="TIKTOK_LOOKBACK_DAYS",
        description="each morning refreshes yesterday and this many days before it, and further back to the oldest"
        " missing or incomplete day of the last 30",
    )
    sweep_days: int = Field(
        28,
        ge=0,
        le=59,
        alias="TIKTOK_SWEEP_DAYS",
        description="once a week refreshes this many days; 0 disables it",
    )
    refresh_cron: Cron = Field(
        "30 12 * * *",
        alias="TIKTOK_REFRESH_CRON",
        description="schedule of the morning refresh, UTC; should be after the API's daily correction at 12:00",
    )
    api_tier: Tier = Field(
        "basic",
        alias="TIKTOK_API_TIER",
        description="tier of the app, which sets its requests per second and per minute",
    )
    qps: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        alias="TIKTOK_QPS",
        description="requests per second; overrides the tier's",
    )
    path_qpm: int | None = Field(
        None,
        gt=0,
        alias="TIKTOK_PATH_QPM",
        description="requests per minute to a single endpoint; use 30 on TikTok's own sandbox",
    )
    reports: Annotated[str, AfterValidator(validate_reports)] = Field(
        "",
        alias="TIKTOK_REPORTS",
        description="`+name,+name` adds reports to the standard set, a list without + replaces it",
    )
    metrics: Annotated[str, AfterValidator(validate_metrics)] = Field(
        "", alias="TIKTOK_METRICS", description="the same for metrics, with the API's names"
    )
    report_tasks: Literal["never", "auto"] = Field(
        "never",
        alias="TIKTOK_REPORT_TASKS",
        description="`auto` reads 91 days and more of a report by TikTok's report tasks where that is cheaper",
    )
    data_dir: DataFolder = Field(
        "data", alias="TIKTOK_DATA_DIR", description="where the tables are stored: a folder or `s3://...`"
    )
    state_dir: LocalFolder = Field(
        Path(".tiktok_assets"),
        alias="TIKTOK_STATE_DIR",
        description="local folder of the request budget, the default Dagster home and temporary warehouse files",
    )
    state_url: SecretStr | None = Field(
        None,
        alias="TIKTOK_STATE_URL",
        description="database of the state (flags, messages, duplications); default SQLite in TIKTOK_STATE_DIR,"
        " `postgresql+psycopg2://...` for several hosts",
    )
    limiter_url: SecretStr | None = Field(
        None,
        alias="TIKTOK_LIMITER_URL",
        description="store of the request budget; default a file in TIKTOK_STATE_DIR, `redis://...` for several"
        " hosts",
    )
    alert_urls: SecretUrls = Field(
        [],
        alias="TIKTOK_ALERT_URLS",
        description="channels of alerts: comma-separated Apprise URLs, never shown; every alert is also written to"
        " `alerts/` in TIKTOK_STATE_DIR",
    )
    scaling_mode: ScalingMode = Field(
        "alert",
        alias="TIKTOK_SCALING_MODE",
        description="`alert` only sends alerts, `propose` adds the job `duplicate_ad`, `execute` also runs it"
        " automatically",
    )
    scaling_campaigns: Campaigns = Field(
        {},
        alias="TIKTOK_SCALING_CAMPAIGNS",
        description="`advertiser_id:campaign_id`, the target campaign of duplications",
    )
    scaling_identities: Identities = Field(
        {},
        alias="TIKTOK_SCALING_IDENTITY",
        description="`advertiser_id:identity_type:identity_id` (and `:business_center_id` for `BC_AUTH_TT`), for"
        " duplicates of ads whose own identity cannot be reused",
    )
    scaling_enable: Literal["never", "allow"] = Field(
        "never",
        alias="TIKTOK_SCALING_ENABLE",
        description="`allow` lets an approval enable the duplicate immediately",
    )
    min_spend: Amount = Field(
        Decimal(50),
        alias="TIKTOK_MIN_SPEND",
        description="lifetime spend in the account's currency below which no ad is flagged",
    )
    min_lead: Amount = Field(
        Decimal("0.10"),
        alias="TIKTOK_MIN_LEAD",
        description="by which share of the runner-up's spend a new top spender must exceed it",
    )
    flag_cooldown_days: int = Field(
        3,
        ge=0,
        alias="TIKTOK_FLAG_COOLDOWN_DAYS",
        description="minimum number of days between two flags of one campaign",
    )
    flags_per_day: int = Field(
        5,
        ge=0,
        alias="TIKTOK_FLAGS_PER_DAY",
        description="maximum number of flags of one advertiser within 24 hours",
    )
    exclude_names: RegexPattern = Field(
        None,
        alias="TIKTOK_EXCLUDE_NAMES",
        description="regular expression; ads whose name matches are not flagged",
    )
    max_added_budget: Amount | None = Field(
        None,
        alias="TIKTOK_MAX_ADDED_BUDGET",
        description="how much duplicates can add to an account's daily budgets within 24 hours, in its currency",
    )
    fatigue_drop: Share = Field(
        Decimal("0.20"),
        alias="TIKTOK_FATIGUE_DROP",
        description="by which share the hook rate or click rate of a creative must have fallen to be reported; 0"
        " reports none",
    )
    fatigue_min_spend: Amount = Field(
        Decimal(50),
        alias="TIKTOK_FATIGUE_MIN_SPEND",
        description="spend in each of the two compared weeks, in the account's currency, below which no creative"
        " is reported as worn out",
    )
    fatigue_rise: Amount = Field(
        Decimal(0),
        alias="TIKTOK_FATIGUE_RISE",
        description="by which share its spend or impressions must have risen meanwhile; 0 if it is enough that"
        " one of them did not fall",
    )
    reconciliation_tolerance: Amount = Field(
        Decimal("0.02"),
        alias="TIKTOK_RECONCILIATION_TOLERANCE",
        description="share by which the totals of two levels can differ before the check warns",
    )
    thumbnails_per_run: int = Field(
        200,
        ge=0,
        alias="TIKTOK_THUMBNAILS_PER_RUN",
        description="how many pictures of videos and images a run downloads at most; 0 for none",
    )
    thumbnails_mb: int = Field(
        500,
        ge=0,
        alias="TIKTOK_THUMBNAILS_MB",
        description="how many megabytes of thumbnails are stored in TIKTOK_DATA_DIR at most",
    )
    ui_url: PageUrl = Field(
        "http://localhost:3000", alias="DAGSTER_UI_URL", description="URL of Dagster's UI, for links in alerts"
    )
    allowed_hosts: HostNames = Field(
        [],
        alias="TIKTOK_ALLOWED_HOSTS",
        description="comma-separated `name` or `name:port` under which `dev` accepts requests, in addition to"
        " loopback and the host of DAGSTER_UI_URL",
    )
    ui_password: Password | None = Field(
        None,
        alias="TIKTOK_UI_PASSWORD",
        description="password of the web UI of `dev`, with any user name; required to listen on addresses"
        " other than loopback",
    )
    overview_url: PageUrl | None = Field(
        None,
        alias="TIKTOK_OVERVIEW_URL",
        description="URL of `account_overview.html`, if it is served; Dagster then links to it",
    )
    key_prefix: KeyPrefix = Field(
        "",
        alias="TIKTOK_KEY_PREFIX",
        description="prefix of every asset key, such as `agency/tiktok`, and of the names of jobs, sensors,"
        " partitions and resources; lets two sets of accounts share a Dagster instance",
    )
    include: NameList = Field(
        [],
        alias="TIKTOK_INCLUDE",
        description="tables and pages that exist, comma-separated; empty for all. A history comes with its table,"
        " and what a table is built from must be named too",
    )
    asset_keys: AssetKeys = Field(
        {},
        alias="TIKTOK_ASSET_KEYS",
        description="`table:key`, comma-separated; the asset keys of single tables: `ads:marketing/tiktok_ads`",
    )
    code_location: str = Field(
        "tiktok_assets",
        min_length=1,
        alias="TIKTOK_CODE_LOCATION",
        description="name of the Dagster code location, for links in alerts",
    )
    dagster_home: Path | None = Field(
        None,
        alias="DAGSTER_HOME",
        description="folder of the Dagster instance; default `TIKTOK_STATE_DIR/dagster`",
    )

    @property
    def chosen_metrics(self) -> tuple[Metric, ...]:
        """The metrics that every report requests."""
        return select_metrics(self.metrics)

    @property
    def chosen_reports(self) -> tuple[Report, ...]:
        """The reports whose tables exist."""
        tables = set(filter(self.includes, select_report_tables(self.reports)))
        return tuple(report for table, report in REPORTS_BY_TABLE.items() if table in tables)

    @property
    def chosen_gmv_max_reports(self) -> tuple[GmvMaxReport, ...]:
        """The reports of GMV Max whose tables exist."""
        tables = set(filter(self.includes, select_report_tables(self.reports)))
        return tuple(report for table, report in GMV_MAX_REPORTS_BY_TABLE.items() if table in tables)

    def includes(self, table: str) -> bool:
        """Return whether a table or page exists by `include`; a history comes with its table."""
        return not self.include or table in self.include or table.removesuffix("_history") in self.include

    @property
    def requests_per_second(self) -> float:
        """How many requests per second the app can send."""
        return self.qps or TIER_LIMITS[self.api_tier][0]

    @property
    def requests_per_minute(self) -> int:
        """How many requests per minute the app can send."""
        return max(TIER_LIMITS[self.api_tier][1], int(60 * (self.qps or 0)))

    def path_limits(self, path: str) -> tuple[float, int] | None:
        """Return the requests per second and per minute the app can send to a path; None if it has no limit."""
        own = PATH_RATE_LIMITS.get(path, {}).get(self.api_tier)
        of_setting = (self.path_qpm / 60, self.path_qpm) if self.path_qpm else None
        limits = [one for one in (own, of_setting) if one]
        return (min(one[0] for one in limits), min(one[1] for one in limits)) if limits else None

    @property
    def state_database_url(self) -> str:
        """The database URL of the state, which may contain a password."""
        return self.state_url.get_secret_value() if self.state_url else f"sqlite:///{self.state_dir}/state.sqlite"

    @property
    def instance_dir(self) -> Path:
        """The folder of the Dagster instance."""
        return (self.dagster_home or self.state_dir / "dagster").absolute()


def load_settings(**overrides: Any) -> Settings:  # noqa: ANN401 - any field, checked by the model
    """Load the settings of this process.

    Args:
        **overrides: values by field name, which override the environment and `.env`.

    Raises:
        SettingsError: if a value is invalid; one sentence with the variable, what is wrong and how to fix it.
    """
    try:
        return Settings(**{Settings.model_fields[name].alias or name: value for name, value in overrides.items()})
    except ValidationError as error:
        raise SettingsError(_format_error(error)) from None  # the cause could contain a secret
    except UnicodeDecodeError:
        raise SettingsError(".env cannot be read: it is not UTF-8 text. Save it as UTF-8.") from None


def require_storable_version(settings: Settings) -> None:
    """Reject an API version whose data cannot be stored, before anything is requested.

    Raises:
        SettingsError: if the version is not v1.3, which the tables are declared for.
    """
    if settings.api_version != "v1.3":
        raise SettingsError(
            f"TIKTOK_API_VERSION={settings.api_version} can only be used by `get` and `top --live`;"
            " set v1.3 for `plan`, `sync` and the assets."
        )


def describe_invalid_setting(error: ValidationError) -> tuple[str, str, str]:
    """Return the field, its variable, and what is wrong of the first invalid setting, without its value."""
    first = error.errors(include_input=False, include_url=False)[0]
    location = str(first["loc"][0])
    fields = {field.alias or name: name for name, field in Settings.model_fields.items()}
    return fields.get(location, location), location, first["msg"].removeprefix("Value error, ")


def _format_error(error: ValidationError) -> str:
    """Return one sentence about the first invalid setting; `hide_input_in_errors` keeps secrets out of it."""
    _, variable, reason = describe_invalid_setting(error)
    return f"{variable} cannot be used: {reason}. Change it in the environment or in .env."
