"""Tests of Delta and Iceberg: what a transaction over two tables would do, and what readers find there."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tiktok_assets.publish.destination import DestinationError
from tiktok_assets.publish.publisher import publish_tables
from tiktok_assets_tests.publish import laws
from tiktok_assets_tests.publish.engines import SCHEMA, DeltaEngine, IcebergEngine
from tiktok_assets_tests.publish.stored_rows import Store

Lake = DeltaEngine | IcebergEngine
every_lake = pytest.mark.parametrize("build_engine", [DeltaEngine, IcebergEngine])


class Interruption:
    """Does something once, at the step of a publication with this number."""

    def __init__(self, at: int, act: Callable[[], object]) -> None:
        self._left, self._act = at, act

    def __call__(self) -> None:
        """Count a step."""
        self._left -= 1
        if self._left == -1:
            self._act()


@pytest.mark.slow
@every_lake
def test_two_publications_at_once_double_nothing(build_engine: Callable[[Path], Lake], tmp_path: Path) -> None:
    """Whenever another process publishes during a publication, each row is there once in the end."""
    store, engine = Store(tmp_path / "store", tables=("ads",)), build_engine(tmp_path)
    laws.fill(store, 0)
    laws.publish(store, engine)
    for step in range(4):  # before and after each of two commits
        laws.fill(store, step + 1)

        def write_and_publish(seed: int = step) -> None:
            laws.fill(store, seed + 50)
            laws.publish(store, engine)

        with closing(engine.open()) as destination:
            destination.step = Interruption(step, write_and_publish)  # type: ignore[attr-defined]
            publish_tables(store.tables, destination)
        laws.publish(store, engine)
        assert engine.read("ads").equals(store.read("ads")), step
    again = laws.publish(store, engine)
    assert again
    assert again.partitions == {}


def test_meanings_and_types_are_in_delta(tmp_path: Path) -> None:
    """Each column has its type and its meaning, and the table its description."""
    store, engine = Store(tmp_path / "store"), DeltaEngine(tmp_path)
    laws.publish(store, engine)
    table = DeltaTable(str(engine.folder / "advertisers"))
    fields = {field.name: field for field in table.schema().fields}
    assert table.metadata().description == "All advertisers, 'quoted'."
    assert fields["ad_id"].metadata == {"comment": "the ad, as 'text' with a quote"}
    kinds = {name: str(fields[name].type) for name in ("ad_id", "spend", "fetched_at", "date")}
    assert [
        part in kinds[name]
        for name, part in {
            "ad_id": "string",
            "spend": "decimal(18,4)",
            "fetched_at": "timestamp",
            "date": "date",
        }.items()
    ] == [True] * 4


def test_meanings_and_types_are_in_iceberg(tmp_path: Path) -> None:
    """Each column has its type and its meaning, and the table its description."""
    store, engine = Store(tmp_path / "store"), IcebergEngine(tmp_path)
    laws.publish(store, engine)
    table = engine.catalog().load_table((SCHEMA, "advertisers"))
    fields = {field.name: field for field in table.schema().fields}
    assert table.properties["comment"] == "All advertisers, 'quoted'."
    assert fields["ad_id"].doc == "the ad, as 'text' with a quote"
    kinds = [str(fields[name].field_type) for name in ("ad_id", "spend", "fetched_at", "date")]
    assert kinds == ["string", "decimal(18, 4)", "timestamptz", "date"]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    """A file where the folder should be is said in one line with the setting to change."""
    (tmp_path / "delta").write_text("a file", encoding="utf-8")
    (tmp_path / "iceberg").write_text("a file", encoding="utf-8")
    store = Store(tmp_path / "store")
    for engine, setting in (
        (DeltaEngine(tmp_path), "TIKTOK_DELTA_URL"),
        (IcebergEngine(tmp_path), "TIKTOK_ICEBERG"),
    ):
        with pytest.raises(DestinationError, match=setting) as error:
            laws.publish(store, engine)
        assert "\n" not in str(error.value)
