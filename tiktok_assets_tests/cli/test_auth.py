"""Tests of the `auth` command: authorization URL, OAuth state, token exchange and `.env`."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from stat import S_IMODE
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.cli.auth import MAX_PENDING_STATES, consume_state, create_state, parse_redirect
from tiktok_assets.cli.env_file import merge_variables
from tiktok_assets.cli.errors import CommandError
from tiktok_assets.sandbox.http.faults import Fault
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets_tests.cli.conftest import CommandResult, run_command

SMALL = WorldPlan(dense=True, advertisers=3, days=6, campaigns=1, ad_groups=1, ads=1)
EXISTING_LINES = (
    "# kept as it is\r\nexport OTHER='ü b'  # mine\n\nMULTI=\"one\nTIKTOK_ACCESS_TOKEN=inside\"\n".encode()
)


@pytest.fixture
def host() -> Iterator[RunningSandbox]:
    """A sandbox for one test, with new codes and tokens."""
    with RunningSandbox(SMALL, limits=Limits(qps=None, qpm=None)) as running:
        yield running


def app_variables(host: RunningSandbox) -> dict[str, str]:
    """Return the environment variables of a user without a token."""
    return {
        "TIKTOK_BASE_URL": host.base_url,
        "TIKTOK_APP_ID": host.app_id,
        "TIKTOK_APP_SECRET": host.secret,
    }


def get_login_url(host: RunningSandbox, folder: Path) -> str:
    """Return the URL that `auth` prints."""
    return auth(host, folder).out.strip()


def grant(host: RunningSandbox, folder: Path) -> dict[str, str]:
    """Open the URL that `auth` prints and select the accounts, as a user does in the browser."""
    (state,) = parse_qs(urlsplit(get_login_url(host, folder)).query)["state"]
    return issue_code(host, state=state)


def issue_code(host: RunningSandbox, **parameters: str) -> dict[str, str]:
    """Select the accounts without opening a printed URL; return the code and the redirected URL."""
    response = httpx.post(f"{host.base_url}/sandbox/auth_codes", json=parameters).raise_for_status()
    content: dict[str, str] = response.json()
    return content


def auth(host: RunningSandbox, folder: Path, *arguments: str, **variables: str) -> CommandResult:
    """Run `auth` with the variables of the app and further ones, and check that it prints no secret."""
    result = run_command("auth", *arguments, variables={**app_variables(host), **variables}, folder=folder)
    assert "Traceback" not in result.err
    for secret in (*host.state.auth.tokens, host.secret):
        assert secret not in result.out + result.err
    return result


def read_env_file(folder: Path) -> dict[str, str]:
    """Return the variables of the `.env` in a folder."""
    pairs = (line.split("=", 1) for line in (folder / ".env").read_text().splitlines() if "=" in line)
    return {pair[0]: pair[1] for pair in pairs}


def test_login_url(host: RunningSandbox, tmp_path: Path) -> None:
    """The login URL has the app id, a new state each time, and the redirect URL if one is given."""
    first = auth(host, tmp_path)
    second = auth(host, tmp_path, "--redirect-uri", "https://agency.example/callback/", "--json")
    one = parse_qs(urlsplit(first.out.strip()).query)
    two = parse_qs(urlsplit(json.loads(second.out)["authorization_url"]).query)

    assert first.exit_code == second.exit_code == 0
    assert first.out.startswith("https://business-api.tiktok.com/portal/auth?")
    assert {"app_id", "state"} == one.keys()
    assert [host.app_id] == one["app_id"] == two["app_id"]
    assert one["state"] != two["state"]
    assert two["redirect_uri"] == ["https://agency.example/callback/"]
    assert not host.state.requests


def test_redirected_url_becomes_a_stored_token(host: RunningSandbox, tmp_path: Path) -> None:
    """The token is stored in a private `.env`, the accounts are printed, and the next command uses the token."""
    result = auth(host, tmp_path, grant(host, tmp_path)["redirected_url"], "--json")
    variables = read_env_file(tmp_path)
    app = {name: value for name, value in app_variables(host).items() if name != "TIKTOK_BASE_URL"}
    after = run_command("get", "advertisers", "--json", variables=app, folder=tmp_path)
    granted = sorted(one.id for one in host.world.advertisers.values() if one.granted)

    assert result.exit_code == 0, result.err
    assert granted == sorted(row["advertiser_id"] for row in json.loads(result.out))
    assert S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert variables["TIKTOK_ACCESS_TOKEN"] in host.state.auth.tokens
    assert variables["TIKTOK_START_DATE"] == (host.clock.now().date() - timedelta(90)).isoformat()
    assert variables["TIKTOK_BASE_URL"] == host.base_url
    assert after.exit_code == 0, after.err
    assert granted == sorted(row["advertiser_id"] for row in json.loads(after.out))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".env")] == [".env"]


def test_bare_code_needs_without_state(host: RunningSandbox, tmp_path: Path) -> None:
    """A code without a state is accepted only with --without-state; a refused code is not used up."""
    code = issue_code(host)["auth_code"]
    refused = auth(host, tmp_path, code)
    assert refused.exit_code == 1
    assert "--without-state" in refused.error
    assert not host.state.requests
    accepted = auth(host, tmp_path, code, "--without-state")
    assert accepted.exit_code == 0, accepted.err
    assert len(read_env_file(tmp_path)) == 3


def test_state_is_private_and_works_once(host: RunningSandbox, tmp_path: Path) -> None:
    """The state is long, is stored in a private file, and is refused the second time."""
    url = grant(host, tmp_path)["redirected_url"]
    (state,) = parse_qs(urlsplit(url).query)["state"]
    state_file = tmp_path / ".tiktok_assets" / "oauth_state.json"
    assert len(state) >= 32
    assert S_IMODE(state_file.stat().st_mode) == 0o600
    assert S_IMODE(state_file.parent.stat().st_mode) == 0o700
    assert auth(host, tmp_path, url).exit_code == 0
    assert state not in state_file.read_text()
    request_count = len(host.state.requests)
    again = auth(host, tmp_path, url)
    assert again.exit_code == 1
    assert "tiktok-assets auth" in again.error
    assert len(host.state.requests) == request_count


def test_several_states_are_valid_at_once(host: RunningSandbox, tmp_path: Path) -> None:
    """A second login URL does not invalidate the first."""
    first, second = grant(host, tmp_path), grant(host, tmp_path)
    for one in (second, first):
        result = auth(host, tmp_path, one["redirected_url"])
        assert result.exit_code == 0, result.err


STATES = ("missing", "empty", "wrong", "another folder's", "expired", "from the future", "lost", "not ASCII")


@pytest.mark.slow
@pytest.mark.parametrize("kind", STATES)
def test_invalid_state_sends_no_request(host: RunningSandbox, tmp_path: Path, kind: str) -> None:
    """An invalid state ends with one message that has the fix; no request is sent and `.env` does not change."""
    (tmp_path / ".env").write_bytes(EXISTING_LINES)
    (tmp_path / "other").mkdir()
    url = grant(host, tmp_path)["redirected_url"]
    state_file = tmp_path / ".tiktok_assets" / "oauth_state.json"
    states = json.loads(state_file.read_text())
    code = parse_qs(urlsplit(url).query)["auth_code"][0]
    urls = {
        "missing": f"https://agency.example/callback/?auth_code={code}",
        "empty": f"https://agency.example/callback/?auth_code={code}&state=",
        "wrong": f"https://agency.example/callback/?auth_code={code}&state={'x' * 43}",
        "not ASCII": f"https://agency.example/callback/?auth_code={code}&state=%F0%9F%92%A9",
        "another folder's": grant(host, tmp_path / "other")["redirected_url"],
    }
    if kind == "expired":
        state_file.write_text(json.dumps(dict.fromkeys(states, time.time() - 1)))
    if kind == "from the future":
        state_file.write_text(json.dumps(dict.fromkeys(states, time.time() + 10**9)))
    if kind == "lost":
        state_file.write_text("[" * 100_000)
    request_count = len(host.state.requests)
    result = auth(host, tmp_path, urls.get(kind, url))
    assert result.exit_code == 1
    assert "tiktok-assets auth" in result.error
    assert len(host.state.requests) == request_count
    assert (tmp_path / ".env").read_bytes() == EXISTING_LINES


def test_pending_states_are_bounded(tmp_path: Path) -> None:
    """Only the newest states are stored and valid."""
    states = [create_state(tmp_path) for _ in range(3 * MAX_PENDING_STATES)]
    assert len(json.loads((tmp_path / "oauth_state.json").read_text())) == MAX_PENDING_STATES
    consume_state(tmp_path, states[-1])
    with pytest.raises(CommandError):
        consume_state(tmp_path, states[0])


def test_other_lines_of_env_file_are_kept(host: RunningSandbox, tmp_path: Path) -> None:
    """Other lines keep every byte, an old token is replaced in its place, and a start date is kept."""
    env = tmp_path / ".env"
    env.write_bytes(EXISTING_LINES + b"TIKTOK_ACCESS_TOKEN = old # gone\r\nTIKTOK_START_DATE=2026-01-01")
    env.chmod(0o644)
    first = auth(host, tmp_path, grant(host, tmp_path)["redirected_url"])
    once = env.read_bytes()
    again = auth(host, tmp_path, grant(host, tmp_path)["redirected_url"])
    lines = env.read_bytes().removeprefix(EXISTING_LINES).splitlines(keepends=True)
    token = max(host.state.auth.tokens, key=list(host.state.auth.tokens).index).encode()

    assert first.exit_code == again.exit_code == 0
    assert once.startswith(EXISTING_LINES)
    assert once != env.read_bytes()
    assert [
        b"TIKTOK_ACCESS_TOKEN=" + token + b"\r\n",
        b"TIKTOK_START_DATE=2026-01-01\n",
        b"TIKTOK_BASE_URL=" + host.base_url.encode() + b"\n",
    ] == lines
    assert S_IMODE(env.stat().st_mode) == 0o600


def test_start_date_of_the_environment_is_not_stored(host: RunningSandbox, tmp_path: Path) -> None:
    """A start date set in the environment is not written to `.env`."""
    auth(host, tmp_path, grant(host, tmp_path)["redirected_url"], TIKTOK_START_DATE="2026-02-03")

    assert "TIKTOK_START_DATE" not in read_env_file(tmp_path)


def test_linked_env_file(host: RunningSandbox, tmp_path: Path) -> None:
    """If `.env` is a symbolic link, its target is written and the link is kept."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / ".env").symlink_to("secrets/tiktok.env")
    auth(host, tmp_path, grant(host, tmp_path)["redirected_url"])

    assert (tmp_path / ".env").is_symlink()
    assert "TIKTOK_ACCESS_TOKEN=" in (tmp_path / "secrets" / "tiktok.env").read_text()


def test_token_in_the_environment_is_reported(host: RunningSandbox, tmp_path: Path) -> None:
    """Another token in the environment is reported, because it takes precedence."""
    result = auth(host, tmp_path, grant(host, tmp_path)["redirected_url"], TIKTOK_ACCESS_TOKEN="older")

    assert result.exit_code == 0
    assert "takes precedence" in result.err


def test_host_without_account_details(host: RunningSandbox, tmp_path: Path) -> None:
    """On TikTok's own sandbox the token is stored and the ids of the accounts are printed."""
    host.state.switches.tiktok_sandbox = True
    result = auth(host, tmp_path, grant(host, tmp_path)["redirected_url"])

    assert result.exit_code == 0, result.err
    assert "TIKTOK_ACCESS_TOKEN" in read_env_file(tmp_path)
    assert all(one.id in result.out for one in host.world.advertisers.values() if one.granted)


@dataclass(frozen=True)
class InvalidCall:
    """An invalid call: its argument, environment variables, exit code, and words of its error message."""

    name: str
    argument: str
    exit_code: int
    words: tuple[str, ...]
    variables: Mapping[str, str]


CALLS = (
    InvalidCall("no code in the address", "https://agency.example/callback/?state=s", 2, ("no auth_code",), {}),
    InvalidCall(
        "refused in the browser", "https://agency.example/callback/?error=denied", 2, ("no auth_code",), {}
    ),
    InvalidCall("nothing", " ", 2, ("no auth_code",), {}),
    InvalidCall("unknown code", "never-issued", 1, ("40110", "once", "tiktok-assets auth"), {}),
    InvalidCall("no app id", "code", 1, ("TIKTOK_APP_ID",), {"TIKTOK_APP_ID": ""}),
    InvalidCall("no app secret", "code", 1, ("TIKTOK_APP_SECRET",), {"TIKTOK_APP_SECRET": ""}),
    InvalidCall("wrong app secret", "code", 1, ("TIKTOK_APP_SECRET", "40001"), {"TIKTOK_APP_SECRET": "wrong"}),
    InvalidCall(
        "unreachable host",
        "code",
        1,
        ("cannot reach", "may or may not"),
        {"TIKTOK_BASE_URL": "http://127.0.0.1:9"},
    ),
)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_invalid_call_keeps_env_file(host: RunningSandbox, tmp_path: Path, call: InvalidCall) -> None:
    """An invalid call ends with one message that has the fix, and `.env` does not change."""
    (tmp_path / ".env").write_bytes(EXISTING_LINES)
    result = auth(host, tmp_path, "--without-state", "--", call.argument, **call.variables)
    message = result.error

    assert call.exit_code == result.exit_code
    assert not [word for word in call.words if word not in message], message
    assert (tmp_path / ".env").read_bytes() == EXISTING_LINES


def test_env_file_that_is_not_text(host: RunningSandbox, tmp_path: Path) -> None:
    """A `.env` that is not UTF-8 is reported and not changed, and the code is not used up."""
    url = grant(host, tmp_path)["redirected_url"]
    (tmp_path / ".env").write_bytes(b"\xff\xfe odd\n")
    result = auth(host, tmp_path, url)

    assert result.exit_code == 2
    assert "UTF-8" in result.error
    assert (tmp_path / ".env").read_bytes() == b"\xff\xfe odd\n"
    assert not host.state.requests


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (40110, ("a code works once",)),
        (40115, ("a code works once",)),
        (40101, ("TIKTOK_APP_SECRET", "or the code is wrong or used")),
    ],
)
def test_invalid_code(host: RunningSandbox, tmp_path: Path, code: int, words: tuple[str, ...]) -> None:
    """Whatever error TikTok refuses a code with, the message says so and how to get a new one."""
    host.state.switches.bad_code_code = code
    try:
        result = auth(host, tmp_path, "--without-state", "--", "never-issued")
    finally:
        host.state.switches.bad_code_code = 40110
    message = result.error
    assert result.exit_code == 1
    assert not [word for word in (str(code), *words, "`tiktok-assets auth`") if word not in message], message
    assert "TIKTOK_BASE_URL" not in message


def test_banned_country(host: RunningSandbox, tmp_path: Path) -> None:
    """A ban of the country is reported as such, without a hint to app or code."""
    host.state.faults.declared.append(
        Fault(kind="code", code=41000, message="The client IP is banned.", times=None)
    )
    try:
        result = auth(host, tmp_path, "--without-state", "--", "a-code")
    finally:
        host.state.faults.clear()
    message = result.error
    assert result.exit_code == 1
    assert "country" in message
    assert "TIKTOK_APP_SECRET" not in message


@pytest.mark.parametrize("expired", [False, True])
def test_used_or_expired_code(host: RunningSandbox, tmp_path: Path, *, expired: bool) -> None:
    """A used or expired code is reported, and the stored token is kept."""
    url = grant(host, tmp_path)["redirected_url"]
    if expired:
        host.clock.advance(3700)
    else:
        assert auth(host, tmp_path, url).exit_code == 0
    before = (tmp_path / ".env").read_bytes() if not expired else b""
    result = auth(host, tmp_path, url, "--without-state")

    assert result.exit_code == 1
    assert "40110" in result.error
    assert before == ((tmp_path / ".env").read_bytes() if not expired else b"")


def test_env_file_that_cannot_be_written(host: RunningSandbox, tmp_path: Path) -> None:
    """If `.env` cannot be written, that is reported before the code is used up."""
    url = grant(host, tmp_path)["redirected_url"]
    (tmp_path / ".env").symlink_to("missing/tiktok.env")
    linked = auth(host, tmp_path, url)
    (tmp_path / ".env").unlink()
    (tmp_path / ".env").mkdir()
    folder = auth(host, tmp_path, url)
    (tmp_path / ".env").rmdir()
    writable = auth(host, tmp_path, url)

    for result in (linked, folder):
        assert result.exit_code == 1
        assert ".env" in result.error
    assert writable.exit_code == 0, writable.err


@pytest.mark.parametrize(
    ("redirected", "state"),
    [
        ("https://agency.example/callback/?auth_code=a1&code=a1&state=s", "s"),
        ("https://agency.example/callback/?code=a1#here", None),
        ("?state=s&auth_code=a1", "s"),
        ("auth_code=a1&state=s", "s"),
        ("  a1\n", None),
    ],
)
def test_code_is_found_in_url_query_or_alone(redirected: str, state: str | None) -> None:
    """The code and its state are found in a URL, in a query string, and a code alone is accepted."""
    assert parse_redirect(redirected) == ("a1", state)


@given(st.text(alphabet="ABT=_'\"# \n\r\\x", max_size=60))
def test_merging_variables_is_idempotent(text: str) -> None:
    """For any text of a `.env`, setting a variable again changes nothing, and existing lines are kept."""
    once = merge_variables(text, {"TIKTOK_ACCESS_TOKEN": "new"})

    assert once == merge_variables(once, {"TIKTOK_ACCESS_TOKEN": "new"})
    assert once.startswith(text)
    assert "TIKTOK_ACCESS_TOKEN=new" in once
