"""The law of malformed values as a user of the command line meets it."""

import httpx
import pytest

from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets_tests.commands.conftest import Run


@pytest.mark.parametrize(
    ("path", "field", "raw"),
    [
        ("campaign/get", "campaign_name", r'"Summer sale \ud83d"'),
        ("campaign/get", "campaign_name", '"Summer \xff sale"'),
        ("campaign/get", "budget", '"much"'),
    ],
)
def test_one_odd_value_ends_no_sync(run: Run, sandbox: RunningSandbox, path: str, field: str, raw: str) -> None:
    """`sync` ends with exit code 0 and asks nothing again, whatever one value says."""
    account = next(one.id for one in sandbox.world.advertisers.values() if one.granted)
    with httpx.Client(base_url=f"{sandbox.base_url}/sandbox/") as control:
        control.delete("requests")
        control.post("faults", json={"kind": "raw_value", "path": path, "field": field, "raw": raw, "times": None})
        try:
            ran = run("sync", "--select", "campaigns", "--advertiser", account)
            asked = [(one["path"], str(one["query"])) for one in control.get("requests").json()]
        finally:
            control.delete("faults")
    assert ran.exit_code == 0, ran.err
    assert path in {one for one, _ in asked}
    assert len(set(asked)) == len(asked)
