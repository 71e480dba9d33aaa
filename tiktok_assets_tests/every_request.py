"""Send every kind of request that the product sends to one sandbox."""

from datetime import date
from tempfile import TemporaryDirectory, TemporaryFile

import pytest

from tiktok_assets.api.auth import AuthClient
from tiktok_assets.api.client import Client, RequestStats
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.api.report_tasks import ReportTaskClient
from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.duplication.executor import UnfinishedError
from tiktok_assets.ingest.media import list_used_ids
from tiktok_assets.ingest.posts import read_posts
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.report_responses import ReportRequest
from tiktok_assets.ingest.task_choice import TaskRange
from tiktok_assets.ingest.task_files import read_totals
from tiktok_assets.ingest.task_reader import build_task_body
from tiktok_assets.ingest.writer import refresh_entity
from tiktok_assets.sandbox.world.api_objects import ad_source, shown_video
from tiktok_assets.spec.entities import ADS
from tiktok_assets.spec.media import POST_FILES
from tiktok_assets.spec.metric_catalog import METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE, served_metrics
from tiktok_assets.storage.parquet_store import HiveStore
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets_tests.api.conftest import FAST
from tiktok_assets_tests.api.test_documented_requests import read_everything
from tiktok_assets_tests.duplication.harness import DuplicationHarness

AD_DAILY = REPORTS_BY_TABLE["ad_report_daily"]


def read_all_posts(reader: Reader, advertiser_id: str) -> None:
    """Read the posts of the ads of an account, by the identities of its stored ads."""
    with TemporaryDirectory() as folder:
        store = HiveStore(folder)
        list(refresh_entity(reader, store, ADS, [advertiser_id]))
        posts, _ = read_posts(reader, store, advertiser_id, list_used_ids(store, POST_FILES, advertiser_id))
    assert posts.height


def read_by_task(client: Client, account: Account, cancel: bool) -> None:
    """Create and check a report task, and download its file or cancel it."""
    tasks, stats = ReportTaskClient(client), RequestStats()
    days = TaskRange(account, (DateWindow(date(2026, 10, 1), date(2026, 11, 8)),))
    task = tasks.create(build_task_body(AD_DAILY, days, served_metrics(AD_DAILY, METRICS)), stats)
    tasks.is_finished(task, stats)
    if cancel:
        tasks.cancel(task, stats)
        return
    with TemporaryFile() as file:
        tasks.download(task, file, stats)
        assert file.tell()


def send_every_request(harness: DuplicationHarness) -> None:
    """Exchange a code, read every table, also by tasks, duplicate ads into both kinds of campaigns, then undo it.

    The world of the harness has the Smart+ story.
    """
    sandbox = harness.host.sandbox
    code = harness.host.control("POST", "auth_codes")["auth_code"]
    with AuthClient(sandbox.base_url) as auth_client:
        auth_client.exchange_code(code, sandbox.app_id, sandbox.secret)
    with Client(sandbox.base_url, sandbox.token, policy=FAST) as client:
        fetcher = Fetcher(client)
        accounts = [Account(harness.owner.id, "USD", "America/Los_Angeles")]
        reader = Reader(fetcher, client.now, METRICS)
        read_everything(reader, accounts, sandbox.app_id, sandbox.secret)
        read_all_posts(reader, harness.owner.id)
        for cancel in (True, False):
            harness.host.control("POST", "tasks", queue_seconds=3600.0 * cancel, processing_seconds=0.0)
            read_by_task(client, accounts[0], cancel)
        day = DateWindow(date(2026, 11, 8), date(2026, 11, 8))
        read_totals(
            reader, ReportRequest(AD_DAILY, accounts[0], day), served_metrics(AD_DAILY, METRICS), RequestStats()
        )
        fetcher.close()
    harness.duplicate(harness.request())
    pushed = next(ad for ad in harness.owner.ads if ad_source(ad) == "push" and not ad.deleted)
    pushed.in_review = True  # it has no post yet, so its video is sent
    harness.duplicate(harness.request(ad_id=pushed.id))
    story = sandbox.world.smart_plus_scenario
    assert story
    into_smart_plus = {"campaign_id": story.scaling_campaign_id}
    for request in (
        harness.request(**into_smart_plus),
        harness.request(**into_smart_plus, ad_id=pushed.id),
        harness.request(ad_id=story.new_leader_ad_id),
    ):
        harness.duplicate(request)
        harness.undo(request, enabled_first=True)
    video = str(pushed.fields.get("video_id") or shown_video(pushed))
    harness.host.control("POST", "videos", video_id=video, state="transcoding")
    with pytest.raises(UnfinishedError):
        harness.duplicate(harness.request(ad_id=pushed.id, again=1))
    harness.host.control("POST", "videos", video_id=video, state="ready")
