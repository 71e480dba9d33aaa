"""Tests of `docs/contact.md`: it lists everything that is sent or read, and what no source confirms."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.api_sources import (
    ASSUMPTIONS,
    SOURCE_KINDS,
    UNCONFIRMED,
    find_sources,
    list_read_names,
    list_sdk_parameters,
    list_sent_names,
    list_unconfirmed,
    load_witnesses,
)
from tiktok_assets_tests.duplication.harness import PLAN, open_harness
from tiktok_assets_tests.every_request import send_every_request


def list_parameters(request: dict[str, Any]) -> set[str]:
    """Return the names in a logged request, including values of `metrics` and `dimensions`."""
    names = set()
    for name, value in {**request["query"], **request["body"]}.items():
        names.add(name)
        parsed = json.loads(value) if isinstance(value, str) and value[:1] in {"[", "{"} else value
        if name in {"metrics", "dimensions"}:
            names |= {f"{name}={one}" for one in parsed}
        elif isinstance(parsed, dict):
            names |= {f"{name}.{one}" for one in parsed}
        elif name in {"creatives", "filtering"}:
            names |= {f"{name}[].{key}" for one in parsed for key in one}
    return names


@pytest.mark.slow
def test_all_sent_parameters_are_listed(tmp_path: Path) -> None:
    """Reading everything, exchanging a code and duplicating ads sends only parameters that are listed."""
    with Host.run(replace(PLAN, smart_plus_story=True)) as host, open_harness(host, tmp_path) as harness:
        send_every_request(harness)
        requests = host.requests
    listed = list_sent_names()
    unlisted = {(one["path"], name) for one in requests for name in list_parameters(one) - listed[one["path"]]}
    assert unlisted == set()
    assert {one["path"] for one in requests} == listed.keys() == list_read_names().keys()


def test_unconfirmed_names_are_listed() -> None:
    """Exactly the names that no source confirms are listed as unconfirmed, with their consequence."""
    assert list_unconfirmed() == sorted(UNCONFIRMED)
    operations = list_sent_names().keys() | list_read_names().keys()
    assert {operation for operation, _, _ in ASSUMPTIONS} <= operations
    assert all(rule and consequence for _, rule, consequence in ASSUMPTIONS)


def test_sources_are_of_known_kinds() -> None:
    """Each transcribed source is of a known kind and has the commit it was read at."""
    assert load_witnesses().keys() <= SOURCE_KINDS.keys()
    assert all(len(one.source.commit or "") == 40 for one in load_witnesses().values())


@pytest.mark.parametrize(
    ("operation", "name", "direction", "expected"),
    [
        ("campaign/get", "filtering.primary_status", "sent", {"page", "SDK", "probed"}),
        ("adgroup/create", "skip_learning_phase", "sent", {"SDK"}),
        ("report/integrated/get", "metrics=spend", "sent", {"page", "recorded", "probed", "client"}),
        ("report/integrated/get", "metrics=achieve_level", "sent", {"list"}),
        ("report/integrated/get", "data.list[].metrics.achieve_level", "read", {"page", "list"}),
        ("ad/get", "data.list[].ad_name", "read", {"page", "recorded"}),
        ("ad/get", "data.list[].ad_colour", "read", set()),
        ("campaign/get", "colour", "sent", set()),
    ],
)
def test_find_sources(operation: str, name: str, direction: str, expected: set[str]) -> None:
    """Known names are confirmed by the right sources, and unknown ones by none."""
    assert set(find_sources(operation, name, direction)) == expected
    assert "advertiser_id" in list_sdk_parameters("campaign/get")
