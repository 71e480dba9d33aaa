"""The settings: one typed table, read from the environment and then from `.env`, nowhere else."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from tiktok_assets.setting_types import (
    AdvertiserIds,
    Amount,
    Campaigns,
    Cron,
    Currencies,
    DataFolder,
    HostNames,
    Identities,
    LocalFolder,
    Origin,
    PageUrl,
    Password,
    PastDay,
    RegexPattern,
    SecretUrls,
    TimeZones,
)
from tiktok_assets.spec.endpoints import PATH_RATE_LIMITS
from tiktok_assets.spec.metric_catalogue import Metric
from tiktok_assets.spec.metrics import select_metrics
from tiktok_assets.spec.reports import REPORTS_BY_TABLE, Report

Tier = Literal["basic", "advanced", "premium", "ultimate"]
ScalingMode = Literal["alert", "propose", "execute"]

TIER_LIMITS: dict[Tier, tuple[int, int]] = {
    "basic": (10, 600),
    "advanced": (20, 1200),
    "premium": (30, 1800),
    "ultimate": (50, 3000),
}
"""Requests a second and a minute an app may send (tiktok_api.md section 4.1)."""


class SettingsError(Exception):
    """A setting has a value that cannot be used; the message names it and says how to mend it."""


def _validate_metrics(wish: str) -> str:
    select_metrics(wish)
    return wish


def _validate_reports(wish: str) -> str:
    _select_reports(wish)
    return wish


def _select_reports(wish: str) -> tuple[Report, ...]:
    names = [name.strip() for name in wish.split(",") if name.strip()]
    plain = {name.removeprefix("+") for name in names}
    if unknown := sorted(plain - REPORTS_BY_TABLE.keys()):
        raise ValueError(f"there is no report {unknown[0]!r}; the reports are: {', '.join(REPORTS_BY_TABLE)}")
    adds = all(name.startswith("+") for name in names)
    return tuple(
        report for table, report in REPORTS_BY_TABLE.items() if table in plain or (adds and report.standard)
    )


class Settings(BaseSettings):
    """Every setting with its default and meaning; the field's alias is the variable's name."""

    # Without `populate_by_name`: with it a stray DATA_DIR or METRICS of the environment would be a setting too.
    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True)

    access_token: SecretStr | None = Field(
        None,
        alias="TIKTOK_ACCESS_TOKEN",
        description="long-term token; kept in the environment or in `.env` only, never shown",
    )
    app_id: str | None = Field(None, alias="TIKTOK_APP_ID", description="the app; lists newly shared accounts")
    app_secret: SecretStr | None = Field(None, alias="TIKTOK_APP_SECRET", description="the app's secret")
    base_url: Origin = Field(
        "https://business-api.tiktok.com", alias="TIKTOK_BASE_URL", description="scheme, host, port"
    )
    api_version: Literal["v1.3", "v1.2"] = Field(
        "v1.3",
        alias="TIKTOK_API_VERSION",
        description="version of the API; `v1.2` walks through an account as older tutorials do"
        " (`get`, `top --live`) and stores nothing",
    )
    advertiser_ids: AdvertiserIds = Field(
        [], alias="TIKTOK_ADVERTISER_IDS", description="comma-separated; empty means all that are granted"
    )
    account_timezone: TimeZones = Field(
        {},
        alias="TIKTOK_ACCOUNT_TIMEZONE",
        description="`advertiser_id:zone`, for hosts without `advertiser/info`",
    )
    account_currency: Currencies = Field(
        {},
        alias="TIKTOK_ACCOUNT_CURRENCY",
        description="`advertiser_id:currency`, for hosts without `advertiser/info`",
    )
    start_date: PastDay = Field(
        date(2025, 1, 1),
        alias="TIKTOK_START_DATE",
        description="first day of the daily partitions; may move back, not forward",
    )
    lookback_days: int = Field(
        7,
        ge=0,
        le=29,
        alias="TIKTOK_LOOKBACK_DAYS",
        description="each morning: yesterday and this many days before it, stretched back to the oldest"
        " missing or incomplete day of the last 30",
    )
    sweep_days: int = Field(
        28, ge=0, le=59, alias="TIKTOK_SWEEP_DAYS", description="once a week this many days; 0 is off"
    )
    refresh_cron: Cron = Field(
        "30 12 * * *",
        alias="TIKTOK_REFRESH_CRON",
        description="when the morning refresh runs, UTC; after the API's daily correction at 12:00",
    )
    api_tier: Tier = Field(
        "basic", alias="TIKTOK_API_TIER", description="the app's tier: requests a second and a minute"
    )
    qps: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        alias="TIKTOK_QPS",
        description="overrides the tier's requests a second",
    )
    path_qpm: int | None = Field(
        None,
        gt=0,
        alias="TIKTOK_PATH_QPM",
        description="requests a minute to one and the same endpoint; 30 on TikTok's own sandbox",
    )
    reports: Annotated[str, AfterValidator(_validate_reports)] = Field(
        "",
        alias="TIKTOK_REPORTS",
        description="`+name,+name` adds to the standard set, a plain list replaces it",
    )
    metrics: Annotated[str, AfterValidator(_validate_metrics)] = Field(
        "", alias="TIKTOK_METRICS", description="the same for metrics, by the API's names"
    )
    data_dir: DataFolder = Field("data", alias="TIKTOK_DATA_DIR", description="the tables: a folder or `s3://...`")
    state_dir: LocalFolder = Field(
        Path(".tiktok_assets"),
        alias="TIKTOK_STATE_DIR",
        description="always local: request budget, fallback Dagster home, warehouse under construction",
    )
    state_url: SecretStr | None = Field(
        None,
        alias="TIKTOK_STATE_URL",
        description="what must not be lost or done twice; without it SQLite in TIKTOK_STATE_DIR,"
        " `postgresql+psycopg2://...` for several hosts",
    )
    limiter_url: SecretStr | None = Field(
        None,
        alias="TIKTOK_LIMITER_URL",
        description="the request budget; without it a file in TIKTOK_STATE_DIR, `redis://...` for several hosts",
    )
    alert_urls: SecretUrls = Field(
        [],
        alias="TIKTOK_ALERT_URLS",
        description="where alerts go: comma-separated Apprise URLs, never shown; every alert is also a file in"
        " `alerts/` of TIKTOK_STATE_DIR",
    )
    scaling_mode: ScalingMode = Field(
        "alert",
        alias="TIKTOK_SCALING_MODE",
        description="`alert` only tells, `propose` adds the job `duplicate_ad`, `execute` also runs it by itself",
    )
    scaling_campaigns: Campaigns = Field(
        {},
        alias="TIKTOK_SCALING_CAMPAIGNS",
        description="`advertiser_id:campaign_id`, into which a winner is duplicated",
    )
    scaling_identities: Identities = Field(
        {},
        alias="TIKTOK_SCALING_IDENTITY",
        description="`advertiser_id:identity_type:identity_id` (and `:business_center_id` for `BC_AUTH_TT`), for"
        " copies of ads whose own identity can't be used again",
    )
    scaling_enable: Literal["never", "allow"] = Field(
        "never", alias="TIKTOK_SCALING_ENABLE", description="`allow` lets an approval switch the copy on at once"
    )
    min_spend: Amount = Field(
        Decimal(50),
        alias="TIKTOK_MIN_SPEND",
        description="lifetime spend in the account's currency below which nothing is flagged",
    )
    min_lead: Amount = Field(
        Decimal("0.10"),
        alias="TIKTOK_MIN_LEAD",
        description="share of the runner-up's spend by which a new leader must be ahead",
    )
    flag_cooldown_days: int = Field(
        3, ge=0, alias="TIKTOK_FLAG_COOLDOWN_DAYS", description="days between two flags of one campaign"
    )
    flags_per_day: int = Field(
        5, ge=0, alias="TIKTOK_FLAGS_PER_DAY", description="flags of one advertiser within 24 hours"
    )
    exclude_names: RegexPattern = Field(
        None,
        alias="TIKTOK_EXCLUDE_NAMES",
        description="regular expression; ads whose name it finds are not flagged",
    )
    max_added_budget: Amount | None = Field(
        None,
        alias="TIKTOK_MAX_ADDED_BUDGET",
        description="what duplicates may add to an account's daily budgets within 24 hours, in its currency",
    )
    reconciliation_tolerance: Amount = Field(
        Decimal("0.02"),
        alias="TIKTOK_RECONCILIATION_TOLERANCE",
        description="share by which the totals of two levels may differ before their check warns",
    )
    ui_url: PageUrl = Field(
        "http://localhost:3000", alias="DAGSTER_UI_URL", description="where Dagster is served; for links in alerts"
    )
    allowed_hosts: HostNames = Field(
        [],
        alias="TIKTOK_ALLOWED_HOSTS",
        description="comma-separated `name` or `name:port` under which `dev` answers, beside loopback and the host"
        " of DAGSTER_UI_URL",
    )
    ui_password: Password | None = Field(
        None,
        alias="TIKTOK_UI_PASSWORD",
        description="a login in front of `dev`, with any user name; needed to listen on anything but loopback",
    )
    overview_url: PageUrl | None = Field(
        None,
        alias="TIKTOK_OVERVIEW_URL",
        description="where `account_overview.html` is served, if anywhere; Dagster then links to it",
    )
    dagster_home: Path | None = Field(
        None, alias="DAGSTER_HOME", description="the Dagster instance; without it `TIKTOK_STATE_DIR/dagster`"
    )

    @property
    def chosen_metrics(self) -> tuple[Metric, ...]:
        """The metrics every report asks for."""
        return select_metrics(self.metrics)

    @property
    def chosen_reports(self) -> tuple[Report, ...]:
        """The report tables that exist."""
        return _select_reports(self.reports)

    @property
    def requests_per_second(self) -> float:
        """What the app may send in a second."""
        return self.qps or TIER_LIMITS[self.api_tier][0]

    @property
    def requests_per_minute(self) -> int:
        """What the app may send in a minute."""
        return max(TIER_LIMITS[self.api_tier][1], int(60 * (self.qps or 0)))

    def limits_of_path(self, path: str) -> tuple[float, int] | None:
        """Return what the app may send to one path in a second and in a minute; None where nothing limits it."""
        own = PATH_RATE_LIMITS.get(path, {}).get(self.api_tier)
        of_setting = (self.path_qpm / 60, self.path_qpm) if self.path_qpm else None
        limits = [one for one in (own, of_setting) if one]
        return (min(one[0] for one in limits), min(one[1] for one in limits)) if limits else None

    @property
    def state_address(self) -> str:
        """Where the transactional state lives, as a database URL; may hold a password."""
        return self.state_url.get_secret_value() if self.state_url else f"sqlite:///{self.state_dir}/state.sqlite"

    @property
    def instance_dir(self) -> Path:
        """Where the one Dagster instance lives."""
        return (self.dagster_home or self.state_dir / "dagster").absolute()


def load_settings(**overrides: Any) -> Settings:  # noqa: ANN401 - any field, checked by the model
    """The settings of this process.

    Args:
        **overrides: fields by name, which win over environment and `.env`.

    Raises:
        SettingsError: one sentence naming the variable, what is wrong with it and how to mend it.
    """
    try:
        return Settings(**{Settings.model_fields[name].alias or name: value for name, value in overrides.items()})
    except ValidationError as error:
        raise SettingsError(_format_error(error)) from None  # the cause could show a secret
    except UnicodeDecodeError:
        raise SettingsError(".env cannot be read: it is not UTF-8 text. Save it as that.") from None


def require_storable_version(settings: Settings) -> None:
    """Refuse settings that can only look at an account, before anything is asked or stored.

    Raises:
        SettingsError: if the API's version is not the one the tables are declared in.
    """
    if settings.api_version != "v1.3":
        raise SettingsError(
            f"TIKTOK_API_VERSION={settings.api_version} only serves `get` and `top --live`;"
            " use v1.3 to plan, to sync and for the assets."
        )


def _format_error(error: ValidationError) -> str:
    """One sentence for the first wrong setting; `hide_input_in_errors` keeps secrets out of it."""
    first = error.errors(include_input=False, include_url=False)[0]
    where = str(first["loc"][0])
    field = Settings.model_fields.get(where)
    variable = field.alias if field and field.alias else where
    reason = first["msg"].removeprefix("Value error, ")
    return f"{variable} cannot be used: {reason}. Change it in the environment or in .env."
