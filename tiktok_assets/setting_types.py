"""Validate and convert the text of each setting; every error says what is wrong and how to fix it."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

Tier = Literal["basic", "advanced", "premium", "ultimate"]
ScalingMode = Literal["alert", "propose", "execute"]

TIER_LIMITS: dict[Tier, tuple[int, int]] = {
    "basic": (10, 600),
    "advanced": (20, 1200),
    "premium": (30, 1800),
    "ultimate": (50, 3000),
}
"""How many requests per second and per minute an app of each tier can send (API notes 4.1)."""

DESTINATION_NAMES = ("postgres", "duckdb", "delta", "iceberg")
"""The destinations the tables can be published to."""

MIN_PASSWORD_LENGTH = 12

_CRON_FIELDS = (
    ("minute", 0, 59, ""),
    ("hour", 0, 23, ""),
    ("day", 1, 31, ""),
    ("month", 1, 12, "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"),
    ("weekday", 0, 7, "sun|mon|tue|wed|thu|fri|sat"),
)

_IdsT = TypeVar("_IdsT", list[str], dict[str, str])


def _split_list(value: object) -> object:
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _split_mapping(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [item.strip().split(":", 1) for item in value.split(",") if item.strip()]
    if any(len(pair) != 2 or not all(pair) for pair in pairs):  # noqa: PLR2004 - a key and a value
        raise ValueError("it must be a comma-separated list of advertiser_id:value")
    return dict(pairs)


def _validate_ids(ids: _IdsT) -> _IdsT:
    for item in ids:
        if not re.fullmatch("[0-9]+", item):
            raise ValueError(f"{item!r} is not an advertiser id; use digits only")
    return ids


def _validate_time_zones(zones: dict[str, str]) -> dict[str, str]:
    for zone in zones.values():
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{zone!r} is not a time zone; use an IANA name such as Europe/Berlin") from None
    return zones


def _validate_currencies(currencies: dict[str, str]) -> dict[str, str]:
    for currency in currencies.values():
        if not re.fullmatch("[A-Z]{3}", currency):
            raise ValueError(f"{currency!r} is not a currency code; use three letters such as USD")
    return currencies


def _validate_identities(identities: dict[str, str]) -> dict[str, str]:
    for text in identities.values():
        kind, _, rest = text.partition(":")
        parts = rest.split(":") if rest else []
        if (
            kind not in {"TT_USER", "BC_AUTH_TT"}
            or len(parts) != (2 if kind == "BC_AUTH_TT" else 1)
            or not all(parts)
        ):
            raise ValueError(
                f"{text!r} is not an identity that can post; use TT_USER:identity_id or"
                " BC_AUTH_TT:identity_id:business_center_id"
            )
    return identities


def _validate_origin(url: str) -> str:
    parts = urlsplit(url)
    has_more = parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password
    # Reading `port` validates it.
    if parts.scheme not in {"http", "https"} or not parts.hostname or has_more or parts.port == 0:
        raise ValueError("it must be scheme, host and port only, such as https://business-api.tiktok.com")
    return f"{parts.scheme}://{parts.netloc}"


def _validate_page_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.password:
        raise ValueError("it must be the URL of a page, without password or query, such as http://localhost:3000")
    return url.rstrip("/")


def _validate_cron(text: str) -> str:
    fields = text.split()
    if len(fields) != len(_CRON_FIELDS):
        raise ValueError("it must have five fields: minute, hour, day, month, weekday")
    for field, (name, lowest, highest, words) in zip(fields, _CRON_FIELDS, strict=True):
        value = rf"(\d{{1,2}}|{words})" if words else r"\d{1,2}"
        for part in field.split(","):
            is_valid = re.fullmatch(rf"(\*|{value}(-{value})?)(/[1-9]\d?)?", part, re.ASCII | re.IGNORECASE)
            numbers = re.findall(r"\d+", part.partition("/")[0])
            if not is_valid or any(not lowest <= int(number) <= highest for number in numbers):
                raise ValueError(f"{part!r} is not a valid {name}")
    return text


def _validate_not_in_future(day: date) -> date:
    if day > datetime.now(UTC).date():
        raise ValueError("it is in the future; use today or an earlier day")
    return day


def _make_absolute(folder: str) -> str:
    """Make a local folder absolute, so that a process can change its working directory."""
    return folder if "://" in folder else str(Path(folder).absolute())


def _reject_float(value: object) -> object:
    """Reject an amount of money given as a float in code, which would not be exact."""
    if isinstance(value, float):
        raise TypeError("use text for an amount of money, such as '50'")
    return value


def _validate_campaigns(campaigns: dict[str, str]) -> dict[str, str]:
    _validate_ids(list(campaigns.values()))
    return campaigns


def _validate_key_prefix(prefix: str) -> str:
    for part in prefix.split("/") if prefix else ():
        if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", part):
            raise ValueError(
                f"{prefix!r} is not a prefix of asset keys; use letters, digits and underscores that begin with a"
                " letter, with / between parts, such as tiktok or agency/tiktok"
            )
    return prefix


def _split_asset_keys(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [item.strip().split(":", 1) for item in value.split(",") if item.strip()]
    if any(len(pair) != 2 for pair in pairs):  # noqa: PLR2004 - a table and a key
        raise ValueError("it must be a comma-separated list of table:key, such as ads:marketing/tiktok_ads")
    return dict(pairs)


def _validate_asset_keys(keys: dict[str, str]) -> dict[str, str]:
    for table, key in keys.items():
        if not all(re.fullmatch("[A-Za-z0-9_]+", part) for part in key.split("/")):
            raise ValueError(
                f"{key!r} is not an asset key for {table}; use letters, digits, _ and / between parts"
            )
    if twice := sorted({key for key in keys.values() if list(keys.values()).count(key) > 1}):
        raise ValueError(f"{twice[0]!r} is the key of two tables; give each its own")
    return keys


def _validate_regex(text: str | None) -> str | None:
    try:
        re.compile(text or "")
    except re.error as error:
        raise ValueError(f"it is not a valid regular expression ({error})") from None
    return text or None


def _split_apprise_urls(value: object) -> object:
    """Split Apprise URLs at commas that are followed by a scheme, because the URLs themselves contain commas."""
    if not isinstance(value, str):
        return value
    urls = [url for url in re.split(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)", value.strip()) if url]
    if any("://" not in url for url in urls):
        raise ValueError("it must be Apprise URLs such as slack://... or mailto://..., comma-separated")
    return urls


def _validate_host_names(names: list[str]) -> list[str]:
    for name in names:
        if not re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?", name, re.ASCII):
            raise ValueError(
                f"{name!r} is not a host name; use one such as dagster.example or dagster.example:3000"
            )
    return names


def _validate_password(password: SecretStr) -> SecretStr:
    if len(password.get_secret_value()) < MIN_PASSWORD_LENGTH:
        raise ValueError(f"it must have at least {MIN_PASSWORD_LENGTH} characters")
    return password


def _validate_destinations(names: list[str]) -> list[str]:
    if unknown := [name for name in names if name not in DESTINATION_NAMES]:
        raise ValueError(f"there is no destination {unknown[0]!r}; use {', '.join(DESTINATION_NAMES)}")
    return list(dict.fromkeys(names))


def _validate_postgres_url(url: SecretStr) -> SecretStr:
    """Reject a URL of another form, and one whose password would be taken for another part of it, and shown."""
    scheme, separator, rest = url.get_secret_value().partition("://")
    if separator and scheme in {"postgres", "postgresql+psycopg2"}:
        scheme = "postgresql"
    wanted = "it must be postgresql://user:password@host:5432/database"
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        is_complete = scheme == "postgresql" and parts.hostname and parts.port != 0 and parts.path.strip("/")
    except ValueError:
        is_complete = False
    if not is_complete or "@" in parts.path + parts.query or parts.netloc.count("@") > 1 or parts.fragment:
        raise ValueError(f"{wanted}, with special characters of the password percent-encoded, such as %40 for @")
    return SecretStr(f"{scheme}://{rest}")


def _validate_schema_name(name: str) -> str:
    if not re.fullmatch("[a-z_][a-z0-9_]{0,62}", name):
        raise ValueError(f"{name!r} is not a schema name; use small letters, digits and underscores")
    return name


NameList = Annotated[list[str], NoDecode, BeforeValidator(_split_list)]
AdvertiserIds = Annotated[NameList, AfterValidator(_validate_ids)]
ByAdvertiser = Annotated[dict[str, str], NoDecode, BeforeValidator(_split_mapping), AfterValidator(_validate_ids)]
HostNames = Annotated[NameList, AfterValidator(_validate_host_names)]
Password = Annotated[SecretStr, AfterValidator(_validate_password)]
TimeZones = Annotated[ByAdvertiser, AfterValidator(_validate_time_zones)]
Currencies = Annotated[ByAdvertiser, AfterValidator(_validate_currencies)]
Identities = Annotated[ByAdvertiser, AfterValidator(_validate_identities)]
Campaigns = Annotated[ByAdvertiser, AfterValidator(_validate_campaigns)]
Origin = Annotated[str, AfterValidator(_validate_origin)]
PageUrl = Annotated[str, AfterValidator(_validate_page_url)]
Cron = Annotated[str, AfterValidator(_validate_cron)]
PastDay = Annotated[date, AfterValidator(_validate_not_in_future)]
DataFolder = Annotated[str, AfterValidator(_make_absolute)]
LocalFolder = Annotated[Path, AfterValidator(Path.absolute)]
Amount = Annotated[Decimal, BeforeValidator(_reject_float), Field(ge=0, allow_inf_nan=False)]
Share = Annotated[Decimal, BeforeValidator(_reject_float), Field(ge=0, lt=1, allow_inf_nan=False)]
KeyPrefix = Annotated[str, AfterValidator(_validate_key_prefix)]
AssetKeys = Annotated[
    dict[str, str], NoDecode, BeforeValidator(_split_asset_keys), AfterValidator(_validate_asset_keys)
]
RegexPattern = Annotated[str | None, AfterValidator(_validate_regex)]
SecretUrls = Annotated[list[SecretStr], NoDecode, BeforeValidator(_split_apprise_urls)]
Destinations = Annotated[NameList, AfterValidator(_validate_destinations)]
PostgresUrl = Annotated[SecretStr, AfterValidator(_validate_postgres_url)]
SchemaName = Annotated[str, AfterValidator(_validate_schema_name)]
