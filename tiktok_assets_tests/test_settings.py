"""Tests of the settings: sources, validation, and secrecy."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tiktok_assets.setting_types import TIER_LIMITS, Tier
from tiktok_assets.settings import Settings, SettingsError, load_settings
from tiktok_assets.spec.endpoints import AD_CREATE, PATH_RATE_LIMITS, REPORT
from tiktok_assets.spec.metric_catalog import METRICS
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.reports import STANDARD_REPORTS

SECRET = "act.7f3c0ffee5ecret"
VARIABLES = {str(field.alias): name for name, field in Settings.model_fields.items()}
ANY_TEXT_IS_VALID = {
    "TIKTOK_ACCESS_TOKEN",
    "TIKTOK_APP_ID",
    "TIKTOK_APP_SECRET",
    "TIKTOK_DATA_DIR",
    "TIKTOK_STATE_DIR",
    "DAGSTER_HOME",
    "TIKTOK_STATE_URL",
    "TIKTOK_LIMITER_URL",
    "TIKTOK_DUCKDB_FILE",
    "TIKTOK_DELTA_URL",
    "TIKTOK_ICEBERG_CATALOG",
    "TIKTOK_ICEBERG_WAREHOUSE",
    "TIKTOK_INCLUDE",  # the names of tables are known to the definitions
}
INVALID = [
    ("TIKTOK_ALERT_URLS", "me@example.com"),
    ("TIKTOK_SCALING_MODE", "auto"),
    ("TIKTOK_SCALING_ENABLE", "yes"),
    ("TIKTOK_SCALING_IDENTITY", "7001:88"),
    ("TIKTOK_SCALING_IDENTITY", "7001:AUTH_CODE:88"),
    ("TIKTOK_SCALING_IDENTITY", "7001:BC_AUTH_TT:88"),
    ("TIKTOK_SCALING_CAMPAIGNS", "7001"),
    ("TIKTOK_SCALING_CAMPAIGNS", "7001:winners"),
    ("TIKTOK_MIN_SPEND", "-1"),
    ("TIKTOK_MIN_SPEND", "fifty"),
    ("TIKTOK_MIN_LEAD", "NaN"),
    ("TIKTOK_FATIGUE_DROP", "1"),
    ("TIKTOK_FATIGUE_MIN_SPEND", "-1"),
    ("TIKTOK_FATIGUE_RISE", "more"),
    ("TIKTOK_FLAG_COOLDOWN_DAYS", "-1"),
    ("TIKTOK_FLAGS_PER_DAY", "few"),
    ("TIKTOK_THUMBNAILS_PER_RUN", "-1"),
    ("TIKTOK_THUMBNAILS_MB", "much"),
    ("TIKTOK_EXCLUDE_NAMES", "(test"),
    ("TIKTOK_MAX_ADDED_BUDGET", "Infinity"),
    ("TIKTOK_RECONCILIATION_TOLERANCE", "-0.1"),
    ("DAGSTER_UI_URL", "localhost:3000"),
    ("TIKTOK_ALLOWED_HOSTS", "https://dagster.example.com"),
    ("TIKTOK_UI_PASSWORD", "too short"),
    ("TIKTOK_OVERVIEW_URL", "account_overview.html"),
    ("TIKTOK_KEY_PREFIX", "tiktok ads"),
    ("TIKTOK_ASSET_KEYS", "ads"),
    ("TIKTOK_ASSET_KEYS", "ads:my ads"),
    ("TIKTOK_ASSET_KEYS", "ads:mine,campaigns:mine"),
    ("TIKTOK_CODE_LOCATION", ""),
    ("TIKTOK_BASE_URL", "business-api.tiktok.com"),
    ("TIKTOK_BASE_URL", "ftp://business-api.tiktok.com"),
    ("TIKTOK_BASE_URL", "https://business-api.tiktok.com/open_api"),
    ("TIKTOK_BASE_URL", "https://business-api.tiktok.com?a=b"),
    ("TIKTOK_BASE_URL", "https://business-api.tiktok.com#a"),
    ("TIKTOK_BASE_URL", f"https://me:{SECRET}@business-api.tiktok.com"),
    ("TIKTOK_BASE_URL", "http://localhost:port"),
    ("TIKTOK_BASE_URL", "http://localhost:99999"),
    ("TIKTOK_BASE_URL", "http://[::1"),
    ("TIKTOK_API_VERSION", "v9"),
    ("TIKTOK_API_VERSION", "v1.1"),
    ("TIKTOK_API_VERSION", "1.2"),
    ("TIKTOK_ADVERTISER_IDS", "7001;7002"),
    ("TIKTOK_ADVERTISER_IDS", "7001,acme"),
    ("TIKTOK_ADVERTISER_IDS", "\N{ARABIC-INDIC DIGIT SEVEN}"),  # a digit, but not ASCII
    ("TIKTOK_ACCOUNT_TIMEZONE", "Europe/Berlin"),
    ("TIKTOK_ACCOUNT_TIMEZONE", "7001:"),
    ("TIKTOK_ACCOUNT_TIMEZONE", "7001:Europe/Nowhere"),
    ("TIKTOK_ACCOUNT_TIMEZONE", "7001:America"),
    ("TIKTOK_ACCOUNT_CURRENCY", "USD"),
    ("TIKTOK_ACCOUNT_CURRENCY", "acme:USD"),
    ("TIKTOK_ACCOUNT_CURRENCY", "7001:dollars"),
    ("TIKTOK_START_DATE", "soon"),
    ("TIKTOK_START_DATE", "9999-01-01"),
    ("TIKTOK_LOOKBACK_DAYS", "-1"),
    ("TIKTOK_LOOKBACK_DAYS", "30"),
    ("TIKTOK_LOOKBACK_DAYS", "a week"),
    ("TIKTOK_SWEEP_DAYS", "60"),
    ("TIKTOK_REFRESH_CRON", "at noon"),
    ("TIKTOK_REFRESH_CRON", "30 25 * * *"),
    ("TIKTOK_REFRESH_CRON", "a b c d e"),
    ("TIKTOK_REFRESH_CRON", "*/0 * * * *"),
    ("TIKTOK_API_TIER", "gold"),
    ("TIKTOK_QPS", "0"),
    ("TIKTOK_QPS", "fast"),
    ("TIKTOK_QPS", "inf"),
    ("TIKTOK_PATH_QPM", "0"),
    ("TIKTOK_REPORT_TASKS", "always"),
    ("TIKTOK_PATH_QPM", "1.5"),
    ("TIKTOK_REPORTS", "ad_report_yearly"),
    ("TIKTOK_METRICS", "+Spend"),
    ("TIKTOK_DESTINATIONS", "postgres, mysql"),
    ("TIKTOK_POSTGRES_URL", f"mysql://us:{SECRET}@db/ads"),
    ("TIKTOK_POSTGRES_URL", f"postgresql://us:{SECRET}@db"),
    ("TIKTOK_POSTGRES_URL", f"postgresql://us:{SECRET}@db:port/ads"),
    ("TIKTOK_POSTGRES_URL", f"postgresql://us:{SECRET}@{SECRET}@db/ads"),
    ("TIKTOK_POSTGRES_URL", f"postgresql://us:12/{SECRET}@db/ads"),
    ("TIKTOK_POSTGRES_URL", f"postgresql://us:1?{SECRET}@db/ads"),
    ("TIKTOK_POSTGRES_URL", f"postgresql://us:1#{SECRET}@db/ads"),
    ("TIKTOK_POSTGRES_SCHEMA", "TikTok Ads"),
    ("TIKTOK_DUCKDB_SCHEMA", "a.b"),
    ("TIKTOK_ICEBERG_NAMESPACE", "a.b"),
]
VALID = {
    "TIKTOK_ACCESS_TOKEN": SECRET,
    "TIKTOK_APP_ID": "7543056879933489153",
    "TIKTOK_APP_SECRET": SECRET,
    "TIKTOK_BASE_URL": "http://127.0.0.1:8000",
    "TIKTOK_API_VERSION": "v1.2",
    "TIKTOK_ADVERTISER_IDS": " 7001, 7002,",
    "TIKTOK_ACCOUNT_TIMEZONE": "7001:Etc/GMT+8, 7002:Europe/Berlin",
    "TIKTOK_ACCOUNT_CURRENCY": "7001:USD,7002:JPY",
    "TIKTOK_START_DATE": "2026-01-31",
    "TIKTOK_LOOKBACK_DAYS": "0",
    "TIKTOK_SWEEP_DAYS": "0",
    "TIKTOK_REFRESH_CRON": "*/15 6-9,12 1 jan-MAR mon",
    "TIKTOK_API_TIER": "premium",
    "TIKTOK_QPS": "2.5",
    "TIKTOK_PATH_QPM": "30",
    "TIKTOK_REPORT_TASKS": "auto",
    "TIKTOK_REPORTS": "ad_report_lifetime",
    "TIKTOK_METRICS": "+purchase",
    "TIKTOK_INCLUDE": "advertisers, ad_report_lifetime",
    "TIKTOK_DATA_DIR": "s3://bucket/data",
    "TIKTOK_STATE_DIR": "state",
    "DAGSTER_HOME": "home",
    "TIKTOK_STATE_URL": f"postgresql+psycopg2://us:{SECRET}@db/state",
    "TIKTOK_LIMITER_URL": f"redis://:{SECRET}@budget:6379/0",
    "TIKTOK_ALERT_URLS": f"json://host/{SECRET}, mailto://us:pw@mail.example.com?to=a@example.com,b@example.com",
    "TIKTOK_SCALING_MODE": "propose",
    "TIKTOK_SCALING_CAMPAIGNS": "7001:1680018437245954",
    "TIKTOK_SCALING_IDENTITY": "7001:TT_USER:7001234, 7002:BC_AUTH_TT:88:99",
    "TIKTOK_SCALING_ENABLE": "allow",
    "TIKTOK_MIN_SPEND": "75.50",
    "TIKTOK_MIN_LEAD": "0.2",
    "TIKTOK_FATIGUE_DROP": "0.3",
    "TIKTOK_FATIGUE_MIN_SPEND": "100",
    "TIKTOK_FATIGUE_RISE": "0.1",
    "TIKTOK_FLAG_COOLDOWN_DAYS": "2",
    "TIKTOK_FLAGS_PER_DAY": "1",
    "TIKTOK_THUMBNAILS_PER_RUN": "0",
    "TIKTOK_THUMBNAILS_MB": "50",
    "TIKTOK_EXCLUDE_NAMES": "(?i)test",
    "TIKTOK_MAX_ADDED_BUDGET": "500",
    "TIKTOK_RECONCILIATION_TOLERANCE": "0.05",
    "DAGSTER_UI_URL": "https://dagster.example.com/ads/",
    "TIKTOK_ALLOWED_HOSTS": "dagster.example.com, other.example.com:3000",
    "TIKTOK_UI_PASSWORD": SECRET,
    "TIKTOK_OVERVIEW_URL": "https://files.example.com/account_overview.html",
    "TIKTOK_KEY_PREFIX": "agency/tiktok",
    "TIKTOK_ASSET_KEYS": "ads:marketing/tiktok_ads",
    "TIKTOK_CODE_LOCATION": "team",
    "TIKTOK_DESTINATIONS": "postgres,duckdb,delta,iceberg",
    "TIKTOK_POSTGRES_URL": f"postgresql://us:{SECRET}@db:5432/ads?sslmode=require",
    "TIKTOK_POSTGRES_SCHEMA": "tiktok_ads",
    "TIKTOK_DUCKDB_FILE": "published.duckdb",
    "TIKTOK_DUCKDB_SCHEMA": "tiktok_ads",
    "TIKTOK_DELTA_URL": "s3://lake/tiktok",
    "TIKTOK_ICEBERG_CATALOG": f"postgresql+psycopg2://us:{SECRET}@db/catalog",
    "TIKTOK_ICEBERG_WAREHOUSE": "s3://lake/iceberg",
    "TIKTOK_ICEBERG_NAMESPACE": "tiktok_ads",
}


@pytest.fixture(autouse=True)
def _nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start each test in an empty folder without any variable of the settings."""
    monkeypatch.chdir(tmp_path)
    for variable, name in VARIABLES.items():
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_no_setting_is_required() -> None:
    """Without variables and `.env` the settings load with the documented defaults."""
    settings = load_settings()
    assert settings.access_token is None
    assert (settings.base_url, settings.api_version) == ("https://business-api.tiktok.com", "v1.3")
    assert (settings.start_date, settings.lookback_days, settings.sweep_days) == (date(2025, 1, 1), 7, 28)
    assert (settings.requests_per_second, settings.requests_per_minute) == (10, 600)
    assert settings.chosen_reports == STANDARD_REPORTS
    assert settings.chosen_metrics == STANDARD_METRICS
    assert settings.instance_dir == Path(".tiktok_assets/dagster").absolute()


def test_every_setting_has_a_variable_and_a_meaning() -> None:
    """A setting has one variable, `TIKTOK_...` or Dagster's own, and a description."""
    assert [v for v in VARIABLES if not v.startswith("TIKTOK_")] == ["DAGSTER_UI_URL", "DAGSTER_HOME"]
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_setting_is_covered_by_this_file() -> None:
    """This file has a valid value of every variable, and an invalid one of each that has any."""
    assert VALID.keys() == VARIABLES.keys()
    assert {variable for variable, _ in INVALID} | ANY_TEXT_IS_VALID == VARIABLES.keys()


def test_valid_values_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable sets its field; lists and pairs are comma-separated, with optional blanks."""
    for variable, value in VALID.items():
        monkeypatch.setenv(variable, value)
    settings = load_settings()
    assert settings.api_version == "v1.2"
    assert settings.advertiser_ids == ["7001", "7002"]
    assert settings.account_timezone == {"7001": "Etc/GMT+8", "7002": "Europe/Berlin"}
    assert settings.account_currency == {"7001": "USD", "7002": "JPY"}
    assert settings.start_date == date(2026, 1, 31)
    assert settings.access_token is not None
    assert settings.access_token.get_secret_value() == SECRET
    assert (settings.qps, settings.requests_per_second) == (2.5, 2.5)
    assert [report.table for report in settings.chosen_reports] == ["ad_report_lifetime"]
    assert settings.instance_dir == Path("home").absolute()
    assert settings.model_fields_set == set(VARIABLES.values())


@pytest.mark.parametrize(("variable", "value"), INVALID)
def test_invalid_value_error(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid value raises an error of one line with the variable and the fix, and without secrets."""
    monkeypatch.setenv("TIKTOK_ACCESS_TOKEN", SECRET)
    monkeypatch.setenv("TIKTOK_APP_SECRET", SECRET)
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert message.startswith(f"{variable} cannot be used: ")
    assert message.endswith("Change it in the environment or in .env.")
    assert "\n" not in message
    assert SECRET not in message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(("variable", "value"), INVALID)
def test_invalid_value_in_the_env_file_error(variable: str, value: str) -> None:
    """A value that is invalid in the environment is invalid in `.env` too."""
    Path(".env").write_text(f"{variable}='{value}'\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=f"^{variable} cannot be used: "):
        load_settings()


def test_precedence_of_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """The precedence is argument, environment, `.env`, default."""
    Path(".env").write_text("TIKTOK_LOOKBACK_DAYS=1\nTIKTOK_SWEEP_DAYS=2\nANOTHER=x\n", encoding="utf-8")
    monkeypatch.setenv("TIKTOK_LOOKBACK_DAYS", "3")
    settings = load_settings()
    assert (settings.lookback_days, settings.sweep_days, settings.api_tier) == (3, 2, "basic")
    assert load_settings(lookback_days=4).lookback_days == 4


def test_unrelated_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables such as DATA_DIR, METRICS or BASE_URL of other programs change nothing."""
    for name in VARIABLES.values():
        if name.upper() not in VARIABLES:
            monkeypatch.setenv(name.upper(), "of another program")
    Path(".env").write_text("REPORTS=theirs\n", encoding="utf-8")
    assert load_settings().model_fields_set == set()


def test_env_file_is_read_from_the_working_directory_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `.env` in the parent folder is not read."""
    Path(".env").write_text("TIKTOK_LOOKBACK_DAYS=1\n", encoding="utf-8")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert load_settings().lookback_days == 7


def test_settings_never_show_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """`repr`, `str` and JSON of the settings never contain the token or the app secret."""
    monkeypatch.setenv("TIKTOK_ACCESS_TOKEN", SECRET)
    monkeypatch.setenv("TIKTOK_APP_SECRET", SECRET)
    settings = load_settings()
    for text in (repr(settings), str(settings), f"{settings.access_token}", settings.model_dump_json()):
        assert SECRET not in text


def test_settings_are_immutable() -> None:
    """Loaded settings cannot be changed."""
    settings = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.lookback_days = 1


def test_unknown_override_is_rejected() -> None:
    """A misspelt override is an error."""
    with pytest.raises(KeyError, match="look_back"):
        load_settings(look_back=1)


def test_start_date_cannot_be_in_the_future() -> None:
    """The start date can be today, but not later."""
    today = datetime.now(UTC).date()
    assert load_settings(start_date=today).start_date == today
    with pytest.raises(SettingsError, match="TIKTOK_START_DATE"):
        load_settings(start_date=today + timedelta(2))


@pytest.mark.parametrize("tier", TIER_LIMITS)
def test_rate_limits_of_each_tier(tier: Tier) -> None:
    """A tier sets requests per second and minute; TIKTOK_QPS overrides the first and never lowers the second."""
    second, minute = TIER_LIMITS[tier]
    settings = load_settings(api_tier=tier)
    assert (settings.requests_per_second, settings.requests_per_minute) == (second, minute)
    faster = load_settings(api_tier=tier, qps=100)
    assert (faster.requests_per_second, faster.requests_per_minute) == (100, 6000)
    assert load_settings(api_tier=tier, qps=1).requests_per_minute == minute


@pytest.mark.parametrize("tier", TIER_LIMITS)
def test_rate_limit_of_a_path(tier: Tier) -> None:
    """Creating ads has a limit by tier; TIKTOK_PATH_QPM limits every path, and the lower limit applies."""
    own = PATH_RATE_LIMITS[AD_CREATE.path][tier]
    plain, slow = load_settings(api_tier=tier), load_settings(api_tier=tier, path_qpm=30)
    assert (plain.path_limits(AD_CREATE.path), plain.path_limits(REPORT.path)) == (own, None)
    assert slow.path_limits(AD_CREATE.path) == slow.path_limits(REPORT.path) == (0.5, 30)
    assert load_settings(api_tier=tier, path_qpm=6000).path_limits(AD_CREATE.path) == own


def test_plus_adds_and_plain_list_replaces() -> None:
    """Metrics and reports are selected by the same two rules, in the catalogue's order."""
    extra = next(metric for metric in METRICS if not metric.is_standard)
    assert load_settings(metrics=f"+{extra.api_name}").chosen_metrics == (*STANDARD_METRICS, extra)
    replaced = load_settings(metrics="clicks, impressions").chosen_metrics
    assert [metric.api_name for metric in replaced] == ["spend", "impressions", "clicks"]
    tables = [
        report.table for report in load_settings(reports="ad_report_lifetime,ad_report_daily").chosen_reports
    ]
    assert tables == ["ad_report_daily", "ad_report_lifetime"]
    assert load_settings(reports="+ad_report_daily").chosen_reports == STANDARD_REPORTS


def test_alert_urls_are_split_at_schemes() -> None:
    """Apprise URLs can contain commas; they are split at schemes, and never shown."""
    two = load_settings(alert_urls="mailto://u:p@h?to=a@x.org,b@x.org,json://host/a")
    assert [url.get_secret_value() for url in two.alert_urls] == [
        "mailto://u:p@h?to=a@x.org,b@x.org",
        "json://host/a",
    ]
    assert "u:p" not in repr(two)
    assert load_settings(ui_url="https://host/dagster/").ui_url == "https://host/dagster"


def test_invalid_overview_url_error() -> None:
    """The error about the overview's URL names its own setting and says what the URL must be."""
    with pytest.raises(
        SettingsError, match="TIKTOK_OVERVIEW_URL cannot be used: it must be the URL of a page"
    ) as caught:
        load_settings(overview_url="account_overview.html")
    assert "Dagster" not in str(caught.value)


def test_relative_folders_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that changes its directory keeps its data and state folders; a URL is unchanged."""
    monkeypatch.chdir(tmp_path)
    settings = load_settings(data_dir="tables", state_dir="state")

    monkeypatch.chdir(tmp_path.parent)
    assert (settings.data_dir, settings.state_dir) == (str(tmp_path / "tables"), tmp_path / "state")
    assert load_settings(data_dir="s3://bucket/tables").data_dir == "s3://bucket/tables"
