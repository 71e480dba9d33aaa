"""Send every kind of request that the product sends to one sandbox."""

from tiktok_assets.api.auth import AuthClient
from tiktok_assets.api.client import Client
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.sandbox.world.api_objects import ad_source
from tiktok_assets.spec.metric_catalog import METRICS
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets_tests.api.conftest import FAST
from tiktok_assets_tests.api.test_documented_requests import read_everything
from tiktok_assets_tests.duplication.harness import DuplicationHarness


def send_every_request(harness: DuplicationHarness) -> None:
    """Exchange a code, read every table, and duplicate an ad with a post and one without."""
    sandbox = harness.host.sandbox
    code = harness.host.control("POST", "auth_codes")["auth_code"]
    with AuthClient(sandbox.base_url) as auth_client:
        auth_client.exchange_code(code, sandbox.app_id, sandbox.secret)
    with Client(sandbox.base_url, sandbox.token, policy=FAST) as client:
        fetcher = Fetcher(client)
        accounts = [Account(harness.owner.id, "USD", "America/Los_Angeles")]
        read_everything(Reader(fetcher, client.now, METRICS), accounts, sandbox.app_id, sandbox.secret)
        fetcher.close()
    harness.duplicate(harness.request())
    pushed = next(ad for ad in harness.owner.ads if ad_source(ad) == "push" and not ad.deleted)
    pushed.in_review = True  # it has no post yet, so its video is sent
    harness.duplicate(harness.request(ad_id=pushed.id))
