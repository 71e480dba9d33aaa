"""One sandbox for the folder, and a small client that speaks to it over HTTP."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tiktok_assets.sandbox.http.context import Switches
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.reads.media import library_video
from tiktok_assets.sandbox.running import RunningSandbox

if TYPE_CHECKING:
    from tiktok_assets_tests.sandbox.factory import EntityFactory

REPORT = "report/integrated/get"
ID_OF = {
    "AUCTION_AD": "ad_id",
    "AUCTION_ADGROUP": "adgroup_id",
    "AUCTION_CAMPAIGN": "campaign_id",
    "AUCTION_ADVERTISER": "advertiser_id",
}
STATUS_OF = {"AUCTION_AD": "ad_status", "AUCTION_ADGROUP": "adgroup_status", "AUCTION_CAMPAIGN": "campaign_status"}


@dataclass
class Api:
    """Speaks to a sandbox as a careful human would, with nothing of the product's client."""

    sandbox: RunningSandbox
    http: httpx.Client

    def get(self, path: str, *, token: str | None = None, **params: object) -> dict[str, Any]:
        """Return the envelope of a GET; lists and objects are sent as JSON text."""
        answer = self.http.get(
            f"/open_api/v1.3/{path}/",
            params={key: _text(value) for key, value in params.items()},
            headers={"Access-Token": self.sandbox.token if token is None else token},
        )
        body: dict[str, Any] = answer.json()
        return body

    def post(self, path: str, *, token: str | None = None, **body: object) -> dict[str, Any]:
        """Return the envelope of a POST."""
        answer = self.http.post(
            f"/open_api/v1.3/{path}/",
            json=body,
            headers={"Access-Token": self.sandbox.token if token is None else token},
        )
        found: dict[str, Any] = answer.json()
        return found

    def report(self, advertiser_id: str, level: str = "AUCTION_AD", **params: object) -> dict[str, Any]:
        """Return the envelope of a report; the dimensions are the level's id unless given."""
        asked: dict[str, Any] = {
            "advertiser_id": advertiser_id,
            "report_type": "BASIC",
            "data_level": level,
            "dimensions": [ID_OF[level]],
            "page_size": 1000,
            **params,
        }
        return self.get(REPORT, **asked)

    def rows(self, advertiser_id: str, level: str = "AUCTION_AD", **params: object) -> list[dict[str, Any]]:
        """Return the rows of a report that must succeed, deleted entities included."""
        if level in STATUS_OF:
            everything = {"field_name": STATUS_OF[level], "filter_type": "IN", "filter_value": '["STATUS_ALL"]'}
            params.setdefault("filtering", [everything])
        body = self.report(advertiser_id, level, **params)
        assert (body["code"], body["message"]) == (0, "OK")
        rows: list[dict[str, Any]] = body["data"]["list"]
        return rows

    def control(self, method: str, path: str, /, **body: object) -> Any:  # noqa: ANN401  # JSON is anything
        """Return the JSON of a control route that must succeed."""
        answer = self.http.request(method, f"/sandbox/{path}", json=body or None)
        assert answer.status_code == 200, answer.text
        return answer.json()


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def total(rows: list[dict[str, Any]], metric: str) -> Decimal:
    """Return the exact sum of a metric over rows."""
    return sum((Decimal(row["metrics"][metric]) for row in rows), Decimal())


def client(sandbox: RunningSandbox) -> Iterator[Api]:
    """Yield a client to a sandbox, which is put back as it was afterwards, but for what was written."""
    with httpx.Client(base_url=sandbox.base_url, timeout=10) as http:
        yield Api(sandbox, http)
    sandbox.clock.set(sandbox.world.plan.anchor)
    sandbox.clock.running = False
    sandbox.state.faults.clear()
    sandbox.state.penalties.reset()
    sandbox.state.latency_seconds = 0.0
    sandbox.state.limiter.limits = Limits(qps=None, qpm=None)
    sandbox.state.limiter.reset()
    for field in fields(Switches):
        setattr(sandbox.state.switches, field.name, getattr(Switches(), field.name))
    for advertiser in sandbox.world.advertisers.values():
        advertiser.granted = advertiser.account.granted


@pytest.fixture(scope="session")
def sandbox() -> Iterator[RunningSandbox]:
    """Run one sandbox without limits for the whole folder."""
    with RunningSandbox(limits=Limits(qps=None, qpm=None)) as running:
        yield running


@pytest.fixture
def api(sandbox: RunningSandbox) -> Iterator[Api]:
    """Return a client to the shared sandbox, which nobody writes to."""
    yield from client(sandbox)


@pytest.fixture(scope="session")
def accounts(sandbox: RunningSandbox) -> list[str]:
    """Return the account ids: Los Angeles, Tokyo, Berlin, the empty one, the one without its grant."""
    return list(sandbox.world.advertisers)


@pytest.fixture(scope="session")
def written_sandbox() -> Iterator[RunningSandbox]:
    """Run one sandbox without limits for every test that writes."""
    with RunningSandbox(limits=Limits(qps=None, qpm=None)) as running:
        yield running


@pytest.fixture
def drafts(written_sandbox: RunningSandbox) -> Iterator["EntityFactory"]:
    """Return a writer to the first account, with media of that account."""
    yield from (writer(api) for api in client(written_sandbox))


def writer(api: Api) -> "EntityFactory":
    """Return a writer to a sandbox's first account."""
    from tiktok_assets_tests.sandbox.factory import EntityFactory  # noqa: PLC0415  # it builds on this file

    account = next(iter(api.sandbox.world.advertisers))
    video = library_video(account)
    covers = api.get("file/video/suggestcover", advertiser_id=account, video_id=video, poster_number=1)
    return EntityFactory(api, account, {"video_id": video, "image_ids": [covers["data"]["list"][0]["id"]]})
