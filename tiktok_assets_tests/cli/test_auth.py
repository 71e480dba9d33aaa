"""`auth` against the sandbox: the address, the exchange, and what becomes of `.env`."""

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
from tiktok_assets_tests.cli.conftest import Ran, run_command

SMALL = WorldPlan(dense=True, advertisers=3, days=6, campaigns=1, ad_groups=1, ads=1)
OURS = "# kept as it is\r\nexport OTHER='ü b'  # mine\n\nMULTI=\"one\nTIKTOK_ACCESS_TOKEN=inside\"\n".encode()


@pytest.fixture
def host() -> Iterator[RunningSandbox]:
    """A world of its own for each test, so that its codes and tokens are new."""
    with RunningSandbox(SMALL, limits=Limits(qps=None, qpm=None)) as running:
        yield running


def app_of(host: RunningSandbox) -> dict[str, str]:
    """What a user has before the first token."""
    return {
        "TIKTOK_BASE_URL": host.base_url,
        "TIKTOK_APP_ID": host.app_id,
        "TIKTOK_APP_SECRET": host.secret,
    }


def address_of(host: RunningSandbox, folder: Path) -> str:
    """The address `auth` prints."""
    return auth(host, folder).out.strip()


def granting(host: RunningSandbox, folder: Path) -> dict[str, str]:
    """Open the address `auth` prints and tick the accounts, as a person does in the browser."""
    (state,) = parse_qs(urlsplit(address_of(host, folder)).query)["state"]
    return ticking(host, state=state)


def ticking(host: RunningSandbox, **asked: str) -> dict[str, str]:
    """Tick the accounts, whoever asked for it."""
    answer = httpx.post(f"{host.base_url}/sandbox/auth_codes", json=asked).raise_for_status()
    told: dict[str, str] = answer.json()
    return told


def auth(host: RunningSandbox, folder: Path, *arguments: str, **variables: str) -> Ran:
    """Run `auth` with the app's variables and these."""
    ran = run_command("auth", *arguments, variables={**app_of(host), **variables}, folder=folder)
    assert "Traceback" not in ran.err
    for secret in (*host.state.auth.tokens, host.secret):
        assert secret not in ran.out + ran.err
    return ran


def sentence_of(ran: Ran) -> str:
    """The one sentence a failed run says."""
    said = [line for line in ran.err.splitlines() if line.startswith("Error: ")]
    assert len(said) == 1
    return said[0]


def env_of(folder: Path) -> dict[str, str]:
    """The variables a plain `.env` sets."""
    pairs = (line.split("=", 1) for line in (folder / ".env").read_text().splitlines() if "=" in line)
    return {pair[0]: pair[1] for pair in pairs}


def test_without_an_argument_the_address_to_open_is_printed(host: RunningSandbox, tmp_path: Path) -> None:
    """The address names the app, a state that differs each time, and the redirect address if one is given."""
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


def test_the_redirected_address_becomes_a_token_that_works(host: RunningSandbox, tmp_path: Path) -> None:
    """The exchange writes a `.env` for its owner alone, lists the accounts, and the next command needs no more."""
    ran = auth(host, tmp_path, granting(host, tmp_path)["redirected_url"], "--json")
    told = env_of(tmp_path)
    app = {name: value for name, value in app_of(host).items() if name != "TIKTOK_BASE_URL"}
    after = run_command("get", "advertisers", "--json", variables=app, folder=tmp_path)
    granted = sorted(one.id for one in host.world.advertisers.values() if one.granted)

    assert ran.exit_code == 0, ran.err
    assert granted == sorted(row["advertiser_id"] for row in json.loads(ran.out))
    assert S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert told["TIKTOK_ACCESS_TOKEN"] in host.state.auth.tokens
    assert told["TIKTOK_START_DATE"] == (host.clock.now().date() - timedelta(90)).isoformat()
    assert told["TIKTOK_BASE_URL"] == host.base_url
    assert after.exit_code == 0, after.err
    assert granted == sorted(row["advertiser_id"] for row in json.loads(after.out))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".env")] == [".env"]


def test_a_bare_code_needs_an_option(host: RunningSandbox, tmp_path: Path) -> None:
    """A code without its address is taken only from who says that it is theirs; refused, it is not spent."""
    code = ticking(host)["auth_code"]
    refused = auth(host, tmp_path, code)
    assert refused.exit_code == 1
    assert "--without-state" in sentence_of(refused)
    assert not host.state.requests
    taken = auth(host, tmp_path, code, "--without-state")
    assert taken.exit_code == 0, taken.err
    assert len(env_of(tmp_path)) == 3


def test_a_state_is_kept_for_its_owner_and_good_once(host: RunningSandbox, tmp_path: Path) -> None:
    """The state lies in a file of its owner alone, is long, and is refused the second time."""
    url = granting(host, tmp_path)["redirected_url"]
    (state,) = parse_qs(urlsplit(url).query)["state"]
    kept = tmp_path / ".tiktok_assets" / "oauth_state.json"
    assert len(state) >= 32
    assert S_IMODE(kept.stat().st_mode) == 0o600
    assert S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert auth(host, tmp_path, url).exit_code == 0
    assert state not in kept.read_text()
    spent = len(host.state.requests)
    again = auth(host, tmp_path, url)
    assert again.exit_code == 1
    assert "tiktok-assets auth" in sentence_of(again)
    assert len(host.state.requests) == spent


def test_two_authorisations_may_be_open_at_once(host: RunningSandbox, tmp_path: Path) -> None:
    """A second address does not end the first."""
    first, second = granting(host, tmp_path), granting(host, tmp_path)
    for one in (second, first):
        ran = auth(host, tmp_path, one["redirected_url"])
        assert ran.exit_code == 0, ran.err


STATES = ("missing", "empty", "wrong", "another folder's", "expired", "from the future", "lost", "not ASCII")


@pytest.mark.parametrize("kind", STATES)
def test_a_state_that_is_not_ours_spends_nothing(host: RunningSandbox, tmp_path: Path, kind: str) -> None:
    """Whatever is wrong with the state: one sentence with the way on, no request, and `.env` as it was."""
    (tmp_path / ".env").write_bytes(OURS)
    (tmp_path / "other").mkdir()
    url = granting(host, tmp_path)["redirected_url"]
    kept = tmp_path / ".tiktok_assets" / "oauth_state.json"
    known = json.loads(kept.read_text())
    code = parse_qs(urlsplit(url).query)["auth_code"][0]
    given = {
        "missing": f"https://agency.example/callback/?auth_code={code}",
        "empty": f"https://agency.example/callback/?auth_code={code}&state=",
        "wrong": f"https://agency.example/callback/?auth_code={code}&state={'x' * 43}",
        "not ASCII": f"https://agency.example/callback/?auth_code={code}&state=%F0%9F%92%A9",
        "another folder's": granting(host, tmp_path / "other")["redirected_url"],
    }
    if kind == "expired":
        kept.write_text(json.dumps(dict.fromkeys(known, time.time() - 1)))
    if kind == "from the future":
        kept.write_text(json.dumps(dict.fromkeys(known, time.time() + 10**9)))
    if kind == "lost":
        kept.write_text("[" * 100_000)
    asked = len(host.state.requests)
    ran = auth(host, tmp_path, given.get(kind, url))
    assert ran.exit_code == 1
    assert "tiktok-assets auth" in sentence_of(ran)
    assert len(host.state.requests) == asked
    assert (tmp_path / ".env").read_bytes() == OURS


def test_open_authorisations_are_bounded(tmp_path: Path) -> None:
    """However often the address is printed, the file stays small and the newest are good."""
    states = [create_state(tmp_path) for _ in range(3 * MAX_PENDING_STATES)]
    assert len(json.loads((tmp_path / "oauth_state.json").read_text())) == MAX_PENDING_STATES
    consume_state(tmp_path, states[-1])
    with pytest.raises(CommandError):
        consume_state(tmp_path, states[0])


def test_every_other_line_stays_as_it_was(host: RunningSandbox, tmp_path: Path) -> None:
    """Lines that are not ours keep every byte, an old token is replaced where it stood, a start date is kept."""
    env = tmp_path / ".env"
    env.write_bytes(OURS + b"TIKTOK_ACCESS_TOKEN = old # gone\r\nTIKTOK_START_DATE=2026-01-01")
    env.chmod(0o644)
    first = auth(host, tmp_path, granting(host, tmp_path)["redirected_url"])
    once = env.read_bytes()
    again = auth(host, tmp_path, granting(host, tmp_path)["redirected_url"])
    lines = env.read_bytes().removeprefix(OURS).splitlines(keepends=True)
    token = max(host.state.auth.tokens, key=list(host.state.auth.tokens).index).encode()

    assert first.exit_code == again.exit_code == 0
    assert once.startswith(OURS)
    assert once != env.read_bytes()
    assert [
        b"TIKTOK_ACCESS_TOKEN=" + token + b"\r\n",
        b"TIKTOK_START_DATE=2026-01-01\n",
        b"TIKTOK_BASE_URL=" + host.base_url.encode() + b"\n",
    ] == lines
    assert S_IMODE(env.stat().st_mode) == 0o600


def test_a_start_date_of_the_environment_is_not_written(host: RunningSandbox, tmp_path: Path) -> None:
    """What the environment already says of the start date is left to it."""
    auth(host, tmp_path, granting(host, tmp_path)["redirected_url"], TIKTOK_START_DATE="2026-02-03")

    assert "TIKTOK_START_DATE" not in env_of(tmp_path)


def test_a_link_is_followed_not_replaced(host: RunningSandbox, tmp_path: Path) -> None:
    """A `.env` that is a link stays one; the file behind it is written."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / ".env").symlink_to("secrets/tiktok.env")
    auth(host, tmp_path, granting(host, tmp_path)["redirected_url"])

    assert (tmp_path / ".env").is_symlink()
    assert "TIKTOK_ACCESS_TOKEN=" in (tmp_path / "secrets" / "tiktok.env").read_text()


def test_a_token_of_the_environment_that_wins_is_told(host: RunningSandbox, tmp_path: Path) -> None:
    """Who has another token in the environment is told that it wins over the new one."""
    ran = auth(host, tmp_path, granting(host, tmp_path)["redirected_url"], TIKTOK_ACCESS_TOKEN="older")

    assert ran.exit_code == 0
    assert "wins" in ran.err


def test_accounts_are_listed_where_the_host_tells_no_details(host: RunningSandbox, tmp_path: Path) -> None:
    """On TikTok's own sandbox the token is kept and the accounts are told by their ids."""
    host.state.switches.tiktok_sandbox = True
    ran = auth(host, tmp_path, granting(host, tmp_path)["redirected_url"])

    assert ran.exit_code == 0, ran.err
    assert "TIKTOK_ACCESS_TOKEN" in env_of(tmp_path)
    assert all(one.id in ran.out for one in host.world.advertisers.values() if one.granted)


@dataclass(frozen=True)
class Bad:
    """A wrong call: what is given, with which variables, its exit code, and words of its sentence."""

    name: str
    given: str
    exit_code: int
    words: tuple[str, ...]
    variables: Mapping[str, str]


CALLS = (
    Bad("no code in the address", "https://agency.example/callback/?state=s", 2, ("no auth_code",), {}),
    Bad("refused in the browser", "https://agency.example/callback/?error=denied", 2, ("no auth_code",), {}),
    Bad("nothing", " ", 2, ("no auth_code",), {}),
    Bad("unknown code", "never-issued", 1, ("40110", "once", "tiktok-assets auth"), {}),
    Bad("no app id", "code", 1, ("TIKTOK_APP_ID",), {"TIKTOK_APP_ID": ""}),
    Bad("no app secret", "code", 1, ("TIKTOK_APP_SECRET",), {"TIKTOK_APP_SECRET": ""}),
    Bad("wrong app secret", "code", 1, ("TIKTOK_APP_SECRET", "40001"), {"TIKTOK_APP_SECRET": "wrong"}),
    Bad("nobody answers", "code", 1, ("cannot reach", "not known"), {"TIKTOK_BASE_URL": "http://127.0.0.1:9"}),
)


@pytest.mark.parametrize("bad", CALLS, ids=lambda bad: bad.name)
def test_a_wrong_call_gets_one_sentence_and_loses_nothing(host: RunningSandbox, tmp_path: Path, bad: Bad) -> None:
    """Bad input ends with one sentence that says how to go on, and `.env` is what it was, byte for byte."""
    (tmp_path / ".env").write_bytes(OURS)
    ran = auth(host, tmp_path, "--without-state", "--", bad.given, **bad.variables)
    said = sentence_of(ran)

    assert bad.exit_code == ran.exit_code
    assert not [word for word in bad.words if word not in said], said
    assert (tmp_path / ".env").read_bytes() == OURS


def test_a_file_that_is_no_text_is_left_alone(host: RunningSandbox, tmp_path: Path) -> None:
    """A `.env` that cannot be read is said to be so, costs no code, and stays what it is."""
    url = granting(host, tmp_path)["redirected_url"]
    (tmp_path / ".env").write_bytes(b"\xff\xfe odd\n")
    ran = auth(host, tmp_path, url)

    assert ran.exit_code == 2
    assert "UTF-8" in sentence_of(ran)
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
def test_a_bad_code_is_said_to_be_one(
    host: RunningSandbox, tmp_path: Path, code: int, words: tuple[str, ...]
) -> None:
    """Whichever code TikTok refuses it with, the sentence says that the code may be bad and how to get another."""
    host.state.switches.bad_code_code = code
    try:
        ran = auth(host, tmp_path, "--without-state", "--", "never-issued")
    finally:
        host.state.switches.bad_code_code = 40110
    said = sentence_of(ran)
    assert ran.exit_code == 1
    assert not [word for word in (str(code), *words, "`tiktok-assets auth`") if word not in said], said
    assert "TIKTOK_BASE_URL" not in said


def test_a_banned_country_is_said_to_be_one(host: RunningSandbox, tmp_path: Path) -> None:
    """Where TikTok answers nobody of the country, neither the app nor the code is blamed."""
    host.state.faults.declared.append(
        Fault(kind="code", code=41000, message="The client IP is banned.", times=None)
    )
    try:
        ran = auth(host, tmp_path, "--without-state", "--", "a-code")
    finally:
        host.state.faults.clear()
    said = sentence_of(ran)
    assert ran.exit_code == 1
    assert "country" in said
    assert "TIKTOK_APP_SECRET" not in said


@pytest.mark.parametrize("late", [False, True])
def test_a_used_or_expired_code_says_so(host: RunningSandbox, tmp_path: Path, *, late: bool) -> None:
    """A code works once and for an hour; after that the way to a new one is told, and the token is kept."""
    url = granting(host, tmp_path)["redirected_url"]
    if late:
        host.clock.advance(3700)
    else:
        assert auth(host, tmp_path, url).exit_code == 0
    before = (tmp_path / ".env").read_bytes() if not late else b""
    ran = auth(host, tmp_path, url, "--without-state")

    assert ran.exit_code == 1
    assert "40110" in sentence_of(ran)
    assert before == ((tmp_path / ".env").read_bytes() if not late else b"")


def test_a_place_that_cannot_be_written_costs_no_code(host: RunningSandbox, tmp_path: Path) -> None:
    """Where `.env` cannot be written that is said before the code is spent, so that it still works elsewhere."""
    url = granting(host, tmp_path)["redirected_url"]
    (tmp_path / ".env").symlink_to("missing/tiktok.env")
    linked = auth(host, tmp_path, url)
    (tmp_path / ".env").unlink()
    (tmp_path / ".env").mkdir()
    folder = auth(host, tmp_path, url)
    (tmp_path / ".env").rmdir()
    well = auth(host, tmp_path, url)

    for ran in (linked, folder):
        assert ran.exit_code == 1
        assert ".env" in sentence_of(ran)
    assert well.exit_code == 0, well.err


@pytest.mark.parametrize(
    ("given", "state"),
    [
        ("https://agency.example/callback/?auth_code=a1&code=a1&state=s", "s"),
        ("https://agency.example/callback/?code=a1#here", None),
        ("?state=s&auth_code=a1", "s"),
        ("auth_code=a1&state=s", "s"),
        ("  a1\n", None),
    ],
)
def test_the_code_is_found_in_every_spelling(given: str, state: str | None) -> None:
    """Address, query or code alone: the code comes out, and the state beside it."""
    assert parse_redirect(given) == ("a1", state)


@given(st.text(alphabet="ABT=_'\"# \n\r\\x", max_size=60))
def test_what_was_merged_is_read_back_and_the_rest_stays(text: str) -> None:
    """Whatever a `.env` holds: setting again changes nothing, and each line without our name is still there."""
    once = merge_variables(text, {"TIKTOK_ACCESS_TOKEN": "new"})

    assert once == merge_variables(once, {"TIKTOK_ACCESS_TOKEN": "new"})
    assert once.startswith(text)
    assert "TIKTOK_ACCESS_TOKEN=new" in once
