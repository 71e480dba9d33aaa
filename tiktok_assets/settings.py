"""The settings: one typed table, read from the environment and then from `.env`, nowhere else."""

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tiktok_assets.spec.metrics import Metric, chosen_metrics
from tiktok_assets.spec.reports import REPORTS_BY_TABLE, Report

Tier = Literal["basic", "advanced", "premium", "ultimate"]

TIER_LIMITS: dict[Tier, tuple[int, int]] = {
    "basic": (10, 600),
    "advanced": (20, 1200),
    "premium": (30, 1800),
    "ultimate": (50, 3000),
}
"""Requests a second and a minute an app may send (tiktok_api.md section 4.1)."""


_CRON_FIELDS = (
    ("minute", 0, 59, ""),
    ("hour", 0, 23, ""),
    ("day", 1, 31, ""),
    ("month", 1, 12, "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"),
    ("weekday", 0, 7, "sun|mon|tue|wed|thu|fri|sat"),
)

Ids = TypeVar("Ids", list[str], dict[str, str])


class SettingsError(Exception):
    """A setting has a value that cannot be used; the message names it and says how to mend it."""


def _listed(value: object) -> object:
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _mapped(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [item.strip().split(":", 1) for item in value.split(",") if item.strip()]
    if any(len(pair) != 2 or not all(pair) for pair in pairs):  # noqa: PLR2004 - a pair has two halves
        raise ValueError("it must be advertiser_id:value, comma-separated")
    return dict(pairs)


def _digits(ids: Ids) -> Ids:
    for item in ids:
        if not re.fullmatch("[0-9]+", item):
            raise ValueError(f"{item!r} is not an id; an advertiser id is all digits")
    return ids


def _zones(zones: dict[str, str]) -> dict[str, str]:
    for zone in zones.values():
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no time zone; give one such as Europe/Berlin") from None
    return zones


def _currencies(currencies: dict[str, str]) -> dict[str, str]:
    for currency in currencies.values():
        if not re.fullmatch("[A-Z]{3}", currency):
            raise ValueError(f"{currency!r} is no currency; give its three letters, such as USD")
    return currencies


def _origin(url: str) -> str:
    parts = urlsplit(url)
    beside = parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password
    # Reading the port is what checks it.
    if parts.scheme not in {"http", "https"} or not parts.hostname or beside or parts.port == 0:
        raise ValueError("it must be scheme, host and port only, such as https://business-api.tiktok.com")
    return f"{parts.scheme}://{parts.netloc}"


def _cron(text: str) -> str:
    fields = text.split()
    if len(fields) != len(_CRON_FIELDS):
        raise ValueError("it must be five fields: minute, hour, day, month, weekday")
    for field, (name, lowest, highest, words) in zip(fields, _CRON_FIELDS, strict=True):
        value = rf"(\d{{1,2}}|{words})" if words else r"\d{1,2}"
        for part in field.split(","):
            fits = re.fullmatch(rf"(\*|{value}(-{value})?)(/[1-9]\d?)?", part, re.ASCII | re.IGNORECASE)
            numbers = re.findall(r"\d+", part.partition("/")[0])
            if not fits or any(not lowest <= int(number) <= highest for number in numbers):
                raise ValueError(f"{part!r} is no {name}")
    return text


def _not_future(day: date) -> date:
    if day > datetime.now(UTC).date():
        raise ValueError("it lies in the future; give a day that has begun")
    return day


def _metrics(wish: str) -> str:
    chosen_metrics(wish)
    return wish


def _reports(wish: str) -> str:
    _chosen_reports(wish)
    return wish


def _chosen_reports(wish: str) -> tuple[Report, ...]:
    names = [name.strip() for name in wish.split(",") if name.strip()]
    plain = {name.removeprefix("+") for name in names}
    if unknown := sorted(plain - REPORTS_BY_TABLE.keys()):
        raise ValueError(f"there is no report {unknown[0]!r}; the reports are: {', '.join(REPORTS_BY_TABLE)}")
    adds = all(name.startswith("+") for name in names)
    return tuple(report for table, report in REPORTS_BY_TABLE.items() if adds or table in plain)


def _placed(folder: str) -> str:
    """A folder as it lies when the settings are read: a process that changes its directory keeps its data."""
    return folder if "://" in folder else str(Path(folder).absolute())


Names = Annotated[list[str], NoDecode, BeforeValidator(_listed)]
Mapping = Annotated[dict[str, str], NoDecode, BeforeValidator(_mapped), AfterValidator(_digits)]


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
    base_url: Annotated[str, AfterValidator(_origin)] = Field(
        "https://business-api.tiktok.com", alias="TIKTOK_BASE_URL", description="scheme, host, port"
    )
    api_version: Literal["v1.3", "v1.2"] = Field(
        "v1.3",
        alias="TIKTOK_API_VERSION",
        description="version of the API; `v1.2` walks through an account as older tutorials do"
        " (`get`, `top --live`) and stores nothing",
    )
    advertiser_ids: Annotated[Names, AfterValidator(_digits)] = Field(
        [], alias="TIKTOK_ADVERTISER_IDS", description="comma-separated; empty means all that are granted"
    )
    account_timezone: Annotated[Mapping, AfterValidator(_zones)] = Field(
        {},
        alias="TIKTOK_ACCOUNT_TIMEZONE",
        description="`advertiser_id:zone`, for hosts without `advertiser/info`",
    )
    account_currency: Annotated[Mapping, AfterValidator(_currencies)] = Field(
        {},
        alias="TIKTOK_ACCOUNT_CURRENCY",
        description="`advertiser_id:currency`, for hosts without `advertiser/info`",
    )
    start_date: Annotated[date, AfterValidator(_not_future)] = Field(
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
        28, ge=0, le=29, alias="TIKTOK_SWEEP_DAYS", description="once a week this many days; 0 is off"
    )
    refresh_cron: Annotated[str, AfterValidator(_cron)] = Field(
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
    reports: Annotated[str, AfterValidator(_reports)] = Field(
        "",
        alias="TIKTOK_REPORTS",
        description="`+name,+name` adds to the standard set, a plain list replaces it",
    )
    metrics: Annotated[str, AfterValidator(_metrics)] = Field(
        "", alias="TIKTOK_METRICS", description="the same for metrics, by the API's names"
    )
    data_dir: Annotated[str, AfterValidator(_placed)] = Field(
        "data", alias="TIKTOK_DATA_DIR", description="the tables: a folder or `s3://...`"
    )
    state_dir: Annotated[Path, AfterValidator(Path.absolute)] = Field(
        Path(".tiktok_assets"),
        alias="TIKTOK_STATE_DIR",
        description="always local: request budget, fallback Dagster home, warehouse under construction",
    )
    dagster_home: Path | None = Field(
        None, alias="DAGSTER_HOME", description="the Dagster instance; without it `TIKTOK_STATE_DIR/dagster`"
    )

    @property
    def chosen_metrics(self) -> tuple[Metric, ...]:
        """The metrics every report asks for."""
        return chosen_metrics(self.metrics)

    @property
    def chosen_reports(self) -> tuple[Report, ...]:
        """The report tables that exist."""
        return _chosen_reports(self.reports)

    @property
    def requests_per_second(self) -> float:
        """What the app may send in a second."""
        return self.qps or TIER_LIMITS[self.api_tier][0]

    @property
    def requests_per_minute(self) -> int:
        """What the app may send in a minute."""
        return max(TIER_LIMITS[self.api_tier][1], int(60 * (self.qps or 0)))

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
        raise SettingsError(_sentence(error)) from None  # the cause could show a secret
    except UnicodeDecodeError:
        raise SettingsError(".env cannot be read: it is not UTF-8 text. Save it as that.") from None


def require_storable(settings: Settings) -> None:
    """Refuse settings that can only look at an account, before anything is asked or stored.

    Raises:
        SettingsError: if the API's version is not the one the tables are declared in.
    """
    if settings.api_version != "v1.3":
        raise SettingsError(
            f"TIKTOK_API_VERSION={settings.api_version} only serves `get` and `top --live`;"
            " use v1.3 to plan, to sync and for the assets."
        )


def _sentence(error: ValidationError) -> str:
    """One sentence for the first wrong setting; `hide_input_in_errors` keeps secrets out of it."""
    first = error.errors(include_input=False, include_url=False)[0]
    where = str(first["loc"][0])
    field = Settings.model_fields.get(where)
    variable = field.alias if field and field.alias else where
    reason = first["msg"].removeprefix("Value error, ")
    return f"{variable} cannot be used: {reason}. Change it in the environment or in .env."
