"""Fixtures: a sandbox for all read tests, one for all write tests, and an HTTP client without product code."""

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
    """A minimal HTTP client of a sandbox, independent of the product's client."""

    sandbox: RunningSandbox
    http: httpx.Client

    def get(self, path: str, *, token: str | None = None, **params: object) -> dict[str, Any]:
        """Return the envelope of a GET; lists and objects are sent as JSON text."""
        response = self.http.get(
            f"/open_api/v1.3/{path}/",
            params={key: _text(value) for key, value in params.items()},
            headers={"Access-Token": self.sandbox.token if token is None else token},
        )
        body: dict[str, Any] = response.json()
        return body

    def post(self, path: str, *, token: str | None = None, **body: object) -> dict[str, Any]:
        """Return the envelope of a POST."""
        response = self.http.post(
            f"/open_api/v1.3/{path}/",
            json=body,
            headers={"Access-Token": self.sandbox.token if token is None else token},
        )
        envelope: dict[str, Any] = response.json()
        return envelope

    def report(self, advertiser_id: str, level: str = "AUCTION_AD", **params: object) -> dict[str, Any]:
        """Return the envelope of a report; by default its dimension is the level's id."""
        query: dict[str, Any] = {
            "advertiser_id": advertiser_id,
            "report_type": "BASIC",
            "data_level": level,
            "dimensions": [ID_OF[level]],
            "page_size": 1000,
            **params,
        }
        return self.get(REPORT, **query)

    def rows(self, advertiser_id: str, level: str = "AUCTION_AD", **params: object) -> list[dict[str, Any]]:
        """Return the rows of a report that must succeed, deleted entities included."""
        if level in STATUS_OF:
            all_statuses = {"field_name": STATUS_OF[level], "filter_type": "IN", "filter_value": '["STATUS_ALL"]'}
            params.setdefault("filtering", [all_statuses])
        body = self.report(advertiser_id, level, **params)
        assert (body["code"], body["message"]) == (0, "OK")
        rows: list[dict[str, Any]] = body["data"]["list"]
        return rows

    def control(self, method: str, path: str, /, **body: object) -> Any:  # noqa: ANN401  # JSON is anything
        """Return the JSON of a control route that must succeed."""
        response = self.http.request(method, f"/sandbox/{path}", json=body or None)
        assert response.status_code == 200, response.text
        return response.json()


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def total(rows: list[dict[str, Any]], metric: str) -> Decimal:
    """Return the exact sum of a metric over rows."""
    return sum((Decimal(row["metrics"][metric]) for row in rows), Decimal())


def client(sandbox: RunningSandbox) -> Iterator[Api]:
    """Yield a client of a sandbox, and afterwards reset its clock, faults, limits, switches and grants."""
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
    """Return a client of the shared sandbox, for tests that only read."""
    yield from client(sandbox)


@pytest.fixture(scope="session")
def accounts(sandbox: RunningSandbox) -> list[str]:
    """Return the account ids: Los Angeles, Tokyo, Berlin, one without campaigns, one not granted."""
    return list(sandbox.world.advertisers)


@pytest.fixture(scope="session")
def writable_sandbox() -> Iterator[RunningSandbox]:
    """Run one sandbox without limits for all tests that write."""
    with RunningSandbox(limits=Limits(qps=None, qpm=None)) as running:
        yield running


@pytest.fixture
def factory(writable_sandbox: RunningSandbox) -> Iterator["EntityFactory"]:
    """Return an entity factory for the first account."""
    yield from (factory_for(api) for api in client(writable_sandbox))


def factory_for(api: Api, account: str | None = None) -> "EntityFactory":
    """Return an entity factory for an account of a sandbox, by default its first."""
    from tiktok_assets_tests.sandbox.factory import EntityFactory  # noqa: PLC0415  # it imports this module

    account = account or next(iter(api.sandbox.world.advertisers))
    video = library_video(account)
    covers = api.get("file/video/suggestcover", advertiser_id=account, video_id=video, poster_number=1)
    return EntityFactory(api, account, {"video_id": video, "image_ids": [covers["data"]["list"][0]["id"]]})
