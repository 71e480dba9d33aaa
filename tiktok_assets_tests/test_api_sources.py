"""Laws of `docs/contact.md`: all that goes over the wire is on it, and what nobody confirms is said to be so."""

import json
from pathlib import Path
from typing import Any

import pytest

from tiktok_assets.api.auth import AuthClient
from tiktok_assets.api.client import Client
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.sandbox.world.api_objects import ad_source
from tiktok_assets.spec.metric_catalogue import METRICS
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets_tests.api.conftest import FAST, Host
from tiktok_assets_tests.api.test_documented_requests import read_everything
from tiktok_assets_tests.api_sources import (
    RULES,
    SOURCE_KINDS,
    UNCONFIRMED,
    find_sources,
    list_read_names,
    list_sent_names,
    list_unconfirmed,
    load_witnesses,
    sdk_parameters,
)
from tiktok_assets_tests.duplication.harness import PLAN, open_harness


def parameters_of(request: dict[str, Any]) -> set[str]:
    """The names a logged request sent, values of `metrics` and `dimensions` among them."""
    names = set()
    for name, value in {**request["query"], **request["body"]}.items():
        names.add(name)
        told = json.loads(value) if isinstance(value, str) and value[:1] in {"[", "{"} else value
        if name in {"metrics", "dimensions"}:
            names |= {f"{name}={one}" for one in told}
        elif isinstance(told, dict):
            names |= {f"{name}.{one}" for one in told}
        elif name in {"creatives", "filtering"}:
            names |= {f"{name}[].{key}" for one in told for key in one}
    return names


def test_what_goes_over_the_wire_is_on_the_page(tmp_path: Path) -> None:
    """Reading everything, exchanging a code and duplicating an ad sends nothing the page does not list."""
    with Host.run(PLAN) as host, open_harness(host, tmp_path) as bench:
        sandbox = host.sandbox
        code = host.control("POST", "auth_codes")["auth_code"]
        with AuthClient(sandbox.base_url) as exchange:
            exchange.token_for(code, sandbox.app_id, sandbox.secret)
        with Client(sandbox.base_url, sandbox.token, policy=FAST) as client:
            fetcher = Fetcher(client)
            accounts = [Account(bench.owner.id, "USD", "America/Los_Angeles")]
            read_everything(Reader(fetcher, client.now, METRICS), accounts, sandbox.app_id, sandbox.secret)
            fetcher.close()
        bench.carry_out(bench.wish())
        pushed = next(ad for ad in bench.owner.ads if ad_source(ad) == "push" and not ad.deleted)
        pushed.in_review = True  # it shows no post yet, so its video is sent
        bench.carry_out(bench.wish(ad_id=pushed.id))
        requests = host.requests
    listed = list_sent_names()
    unlisted = {(one["path"], name) for one in requests for name in parameters_of(one) - listed[one["path"]]}
    assert unlisted == set()
    assert {one["path"] for one in requests} == listed.keys() == list_read_names().keys()


def test_every_name_has_somebody_or_is_said_to_have_nobody() -> None:
    """What nobody confirms is what the page says nobody confirms, each with its consequence."""
    assert list_unconfirmed() == sorted(UNCONFIRMED)
    operations = list_sent_names().keys() | list_read_names().keys()
    assert {operation for operation, _, _ in RULES} <= operations
    assert all(rule and consequence for _, rule, consequence in RULES)


def test_the_witnesses_are_of_kinds_that_are_explained() -> None:
    """Each transcribed witness is of a known kind and names operations and fields we could use."""
    assert load_witnesses().keys() <= SOURCE_KINDS.keys()
    assert all(len(one.source.commit or "") == 40 for one in load_witnesses().values())


@pytest.mark.parametrize(
    ("operation", "name", "direction", "expected"),
    [
        ("campaign/get", "filtering.primary_status", "sent", {"page", "SDK", "probed"}),
        ("adgroup/create", "skip_learning_phase", "sent", {"SDK"}),
        ("report/integrated/get", "metrics=spend", "sent", {"page", "recorded", "probed", "client"}),
        ("ad/get", "data.list[].ad_name", "read", {"page", "recorded"}),
        ("ad/get", "data.list[].ad_colour", "read", set()),
        ("campaign/get", "colour", "sent", set()),
    ],
)
def test_a_name_is_confirmed_by_those_who_have_it(
    operation: str, name: str, direction: str, expected: set[str]
) -> None:
    """Known examples, among them a name nobody has and one that only the SDK has."""
    assert set(find_sources(operation, name, direction)) == expected
    assert "advertiser_id" in sdk_parameters("campaign/get")
