"""Test that the files of a user's commands are readable by that user only, also files that existed before."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from stat import S_IMODE

import pytest

from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets_tests.cli.conftest import build_variables, run_command
from tiktok_assets_tests.test_file_permissions import find_shared_paths

WORLD = WorldPlan(dense=True, advertisers=2, days=4, campaigns=1, ad_groups=1, ads=2)


def list_accessible(folder: Path) -> list[str]:
    """List what other users can access in a folder: nothing if they cannot enter it."""
    return find_shared_paths(folder) if folder.stat().st_mode & 0o077 else []


@pytest.mark.slow
def test_files_of_commands_are_private(tmp_path: Path) -> None:
    """After `sync` and `auth`, no other user can access the state, the logs, the alerts or `.env`."""
    state, logs, env = tmp_path / ".tiktok_assets", tmp_path / ".tiktok_assets/dagster/logs", tmp_path / ".env"
    logs.mkdir(parents=True)
    (logs / "old.log").write_text("of an older version")
    env.write_text("OTHER=1\n")
    for path, mode in (
        (state, 0o755),
        (logs.parent, 0o755),
        (logs, 0o755),
        (logs / "old.log", 0o644),
        (env, 0o644),
    ):
        path.chmod(mode)
    free = Limits(qps=None, qpm=None)
    with RunningSandbox(WORLD, now=datetime.now(UTC), clock_runs=True, limits=free) as host:
        day = (host.clock.now().date() - timedelta(2)).isoformat()
        variables = {**build_variables(host), "TIKTOK_START_DATE": day}
        result = run_command("sync", "--from", day, "--to", day, variables=variables, folder=tmp_path)
        assert result.exit_code == 0, result.err
        assert "chmod 600" in result.err
        second = run_command("auth", variables=variables, folder=tmp_path)
        assert "chmod 600" not in second.err
    assert S_IMODE(state.stat().st_mode) == 0o700
    assert S_IMODE(env.stat().st_mode) == 0o600
    private = [state / name for name in ("state.sqlite", "oauth_state.json")]
    assert [S_IMODE(path.stat().st_mode) for path in (*private, logs / "old.log")] == [0o600] * 3
    assert list_accessible(state) == []
    assert list((tmp_path / "data").rglob("*.parquet"))


CORE_LIMIT = """
import resource, sys, tiktok_assets.cli.commands
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
sys.argv = ["tiktok-assets", "--version"]
try:
    tiktok_assets.cli.commands.main()
finally:
    print(resource.getrlimit(resource.RLIMIT_CORE)[0])
"""


def test_crash_writes_no_core_file() -> None:
    """A command and its child processes write no core file, whatever the limit of the shell."""
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", CORE_LIMIT], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1] == "0", done.stderr
