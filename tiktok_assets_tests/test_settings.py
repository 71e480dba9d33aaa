"""Laws of the settings: where a value comes from, what is refused, and what is never shown."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tiktok_assets.settings import TIER_LIMITS, Settings, SettingsError, Tier, load_settings
from tiktok_assets.spec.endpoints import AD_CREATE, PATH_RATE_LIMITS, REPORT
from tiktok_assets.spec.metric_catalogue import METRICS
from tiktok_assets.spec.metrics import STANDARD_METRICS
from tiktok_assets.spec.reports import STANDARD_REPORTS

SECRET = "act.7f3c0ffee5ecret"
VARIABLES = {str(field.alias): name for name, field in Settings.model_fields.items()}
ANY_TEXT_WILL_DO = {
    "TIKTOK_ACCESS_TOKEN",
    "TIKTOK_APP_ID",
    "TIKTOK_APP_SECRET",
    "TIKTOK_DATA_DIR",
    "TIKTOK_STATE_DIR",
    "DAGSTER_HOME",
    "TIKTOK_STATE_URL",
    "TIKTOK_LIMITER_URL",
}
WRONG = [
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
    ("TIKTOK_FLAG_COOLDOWN_DAYS", "-1"),
    ("TIKTOK_FLAGS_PER_DAY", "few"),
    ("TIKTOK_EXCLUDE_NAMES", "(test"),
    ("TIKTOK_MAX_ADDED_BUDGET", "Infinity"),
    ("TIKTOK_RECONCILIATION_TOLERANCE", "-0.1"),
    ("DAGSTER_UI_URL", "localhost:3000"),
    ("TIKTOK_ALLOWED_HOSTS", "https://dagster.example.com"),
    ("TIKTOK_UI_PASSWORD", "too short"),
    ("TIKTOK_OVERVIEW_URL", "account_overview.html"),
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
    ("TIKTOK_ADVERTISER_IDS", "\N{ARABIC-INDIC DIGIT SEVEN}"),  # a digit, but none of an id
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
    ("TIKTOK_PATH_QPM", "1.5"),
    ("TIKTOK_REPORTS", "ad_report_yearly"),
    ("TIKTOK_METRICS", "+Spend"),
]
GOOD = {
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
    "TIKTOK_REPORTS": "ad_report_lifetime",
    "TIKTOK_METRICS": "+purchase",
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
    "TIKTOK_FLAG_COOLDOWN_DAYS": "2",
    "TIKTOK_FLAGS_PER_DAY": "1",
    "TIKTOK_EXCLUDE_NAMES": "(?i)test",
    "TIKTOK_MAX_ADDED_BUDGET": "500",
    "TIKTOK_RECONCILIATION_TOLERANCE": "0.05",
    "DAGSTER_UI_URL": "https://dagster.example.com/ads/",
    "TIKTOK_ALLOWED_HOSTS": "dagster.example.com, other.example.com:3000",
    "TIKTOK_UI_PASSWORD": SECRET,
    "TIKTOK_OVERVIEW_URL": "https://files.example.com/account_overview.html",
}


@pytest.fixture(autouse=True)
def _nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins in an empty folder with none of our variables set."""
    monkeypatch.chdir(tmp_path)
    for variable, name in VARIABLES.items():
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_nothing_is_compulsory() -> None:
    """Without a variable and without a `.env` the settings load, with the documented defaults."""
    settings = load_settings()
    assert settings.access_token is None
    assert (settings.base_url, settings.api_version) == ("https://business-api.tiktok.com", "v1.3")
    assert (settings.start_date, settings.lookback_days, settings.sweep_days) == (date(2025, 1, 1), 7, 28)
    assert (settings.requests_per_second, settings.requests_per_minute) == (10, 600)
    assert settings.chosen_reports == STANDARD_REPORTS
    assert settings.chosen_metrics == STANDARD_METRICS
    assert settings.instance_dir == Path(".tiktok_assets/dagster").absolute()


def test_every_setting_has_a_variable_of_ours_and_a_meaning() -> None:
    """A setting is named by one variable, `TIKTOK_...` or Dagster's own, and says in words what it is."""
    assert [v for v in VARIABLES if not v.startswith("TIKTOK_")] == ["DAGSTER_UI_URL", "DAGSTER_HOME"]
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_setting_can_be_set_or_is_refused_for_a_reason() -> None:
    """The tables of this file know a good value of every variable, and a wrong one of all that have any."""
    assert GOOD.keys() == VARIABLES.keys()
    assert {variable for variable, _ in WRONG} | ANY_TEXT_WILL_DO == VARIABLES.keys()


def test_good_values_are_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable reaches its field, and lists and pairs are comma-separated with room for blanks."""
    for variable, value in GOOD.items():
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


@pytest.mark.parametrize(("variable", "value"), WRONG)
def test_a_wrong_value_stops_the_load_naming_the_variable(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong value gives one line that names the variable and the mend, and holds no secret."""
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


@pytest.mark.parametrize(("variable", "value"), WRONG)
def test_a_wrong_value_in_the_file_is_named_just_so(variable: str, value: str) -> None:
    """What is wrong in the environment is wrong in `.env` too."""
    Path(".env").write_text(f"{variable}='{value}'\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=f"^{variable} cannot be used: "):
        load_settings()


def test_the_environment_beats_the_file_and_an_argument_beats_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """Precedence is argument, environment, `.env`, default."""
    Path(".env").write_text("TIKTOK_LOOKBACK_DAYS=1\nTIKTOK_SWEEP_DAYS=2\nANOTHER=x\n", encoding="utf-8")
    monkeypatch.setenv("TIKTOK_LOOKBACK_DAYS", "3")
    settings = load_settings()
    assert (settings.lookback_days, settings.sweep_days, settings.api_tier) == (3, 2, "basic")
    assert load_settings(lookback_days=4).lookback_days == 4


def test_only_a_variable_of_ours_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stray DATA_DIR, METRICS or BASE_URL that belongs to another program changes nothing."""
    for name in VARIABLES.values():
        if name.upper() not in VARIABLES:
            monkeypatch.setenv(name.upper(), "somebody else's")
    Path(".env").write_text("REPORTS=theirs\n", encoding="utf-8")
    assert load_settings().model_fields_set == set()


def test_the_file_counts_only_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `.env` of the parent folder is not read."""
    Path(".env").write_text("TIKTOK_LOOKBACK_DAYS=1\n", encoding="utf-8")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert load_settings().lookback_days == 7


def test_no_rendering_of_the_settings_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """`repr`, `str` and the JSON of settings never hold the token or the app's secret."""
    monkeypatch.setenv("TIKTOK_ACCESS_TOKEN", SECRET)
    monkeypatch.setenv("TIKTOK_APP_SECRET", SECRET)
    settings = load_settings()
    for shown in (repr(settings), str(settings), f"{settings.access_token}", settings.model_dump_json()):
        assert SECRET not in shown


def test_settings_cannot_be_changed_afterwards() -> None:
    """What a process loaded stays as it is."""
    settings = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.lookback_days = 1


def test_an_argument_nobody_declared_is_refused() -> None:
    """A misspelt argument is an error, not a setting that does nothing."""
    with pytest.raises(KeyError, match="look_back"):
        load_settings(look_back=1)


def test_the_start_date_may_be_today_but_not_lie_ahead() -> None:
    """Partitions begin on a day that has begun somewhere."""
    today = datetime.now(UTC).date()
    assert load_settings(start_date=today).start_date == today
    with pytest.raises(SettingsError, match="TIKTOK_START_DATE"):
        load_settings(start_date=today + timedelta(2))


@pytest.mark.parametrize("tier", TIER_LIMITS)
def test_each_tier_has_its_budget(tier: Tier) -> None:
    """A tier gives requests a second and a minute; TIKTOK_QPS overrides the first and never lowers the second."""
    second, minute = TIER_LIMITS[tier]
    settings = load_settings(api_tier=tier)
    assert (settings.requests_per_second, settings.requests_per_minute) == (second, minute)
    faster = load_settings(api_tier=tier, qps=100)
    assert (faster.requests_per_second, faster.requests_per_minute) == (100, 6000)
    assert load_settings(api_tier=tier, qps=1).requests_per_minute == minute


@pytest.mark.parametrize("tier", TIER_LIMITS)
def test_a_path_may_have_a_limit_of_its_own(tier: Tier) -> None:
    """Ads are made as slowly as the tier wants it; TIKTOK_PATH_QPM holds for every path, and binds."""
    own = PATH_RATE_LIMITS[AD_CREATE.path][tier]
    plain, slow = load_settings(api_tier=tier), load_settings(api_tier=tier, path_qpm=30)
    assert (plain.limits_of_path(AD_CREATE.path), plain.limits_of_path(REPORT.path)) == (own, None)
    assert slow.limits_of_path(AD_CREATE.path) == slow.limits_of_path(REPORT.path) == (0.5, 30)
    assert load_settings(api_tier=tier, path_qpm=6000).limits_of_path(AD_CREATE.path) == own


def test_a_plus_adds_and_a_plain_list_replaces() -> None:
    """Metrics and reports are chosen by the same two rules, and the catalogue's order is kept."""
    extra = next(metric for metric in METRICS if not metric.standard)
    assert load_settings(metrics=f"+{extra.api_name}").chosen_metrics == (*STANDARD_METRICS, extra)
    replaced = load_settings(metrics="clicks, impressions").chosen_metrics
    assert [metric.api_name for metric in replaced] == ["spend", "impressions", "clicks"]
    tables = [
        report.table for report in load_settings(reports="ad_report_lifetime,ad_report_daily").chosen_reports
    ]
    assert tables == ["ad_report_daily", "ad_report_lifetime"]
    assert load_settings(reports="+ad_report_daily").chosen_reports == STANDARD_REPORTS


def test_alert_urls_are_parted_where_a_scheme_begins() -> None:
    """Apprise URLs hold commas themselves; none is shown."""
    two = load_settings(alert_urls="mailto://u:p@h?to=a@x.org,b@x.org,json://host/a")
    assert [url.get_secret_value() for url in two.alert_urls] == [
        "mailto://u:p@h?to=a@x.org,b@x.org",
        "json://host/a",
    ]
    assert "u:p" not in repr(two)
    assert load_settings(ui_url="https://host/dagster/").ui_url == "https://host/dagster"


def test_an_address_that_cannot_be_used_is_told_of_its_own_setting() -> None:
    """The page of all accounts is not taken for Dagster's; the sentence says what an address must be."""
    with pytest.raises(
        SettingsError, match="TIKTOK_OVERVIEW_URL cannot be used: it must be the address of a page"
    ) as told:
        load_settings(overview_url="account_overview.html")
    assert "Dagster" not in str(told.value)


def test_a_relative_folder_is_where_the_settings_were_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that changes its directory afterwards keeps its tables and its state; a URL is left as it is."""
    monkeypatch.chdir(tmp_path)
    settings = load_settings(data_dir="tables", state_dir="state")

    monkeypatch.chdir(tmp_path.parent)
    assert (settings.data_dir, settings.state_dir) == (str(tmp_path / "tables"), tmp_path / "state")
    assert load_settings(data_dir="s3://bucket/tables").data_dir == "s3://bucket/tables"
