"""Tests of the destinations that need no server: what was stored is there, whatever happened on the way."""

from pathlib import Path

import pytest

from tiktok_assets_tests.publish import laws
from tiktok_assets_tests.publish.engines import DeltaEngine, DuckDBEngine, EngineFactory, IcebergEngine

ENGINES: dict[str, EngineFactory] = {"duckdb": DuckDBEngine, "delta": DeltaEngine, "iceberg": IcebergEngine}
EXAMPLES = {"duckdb": 4, "delta": 6, "iceberg": 2}
every_engine = pytest.mark.parametrize("name", ENGINES)


@pytest.mark.slow
@every_engine
def test_published_is_stored_after_any_sequence(name: str) -> None:
    """After any sequence of writes, removals, kills and publications the next publication makes both equal."""
    laws.check_random_sequences(ENGINES[name], EXAMPLES[name])


@pytest.mark.slow
@every_engine
def test_a_kill_at_any_step_loses_and_doubles_nothing(name: str, tmp_path: Path) -> None:
    """Killed at any step, each partition is the old or the new one, and the next publication completes it."""
    assert laws.check_every_death(ENGINES[name], tmp_path) > 5


@pytest.mark.slow
@every_engine
def test_a_second_publication_sends_nothing(name: str, tmp_path: Path) -> None:
    """A version in the ledger is not sent again, also from a copy of the store; a lost store deletes nothing."""
    laws.check_nothing_is_sent_twice(ENGINES[name], tmp_path)


@pytest.mark.slow
@every_engine
def test_a_row_that_someone_changed_is_found(name: str, tmp_path: Path) -> None:
    """A changed, renamed, missing, doubled or foreign row is found with its partition, and repaired."""
    laws.check_tampering_is_found(ENGINES[name], tmp_path)
