"""Run the `publish` command: publish the stored tables, or compare them with what the destinations have."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from tiktok_assets.cli.errors import UsageError
from tiktok_assets.defs import list_tables_to_publish
from tiktok_assets.publish import (
    DestinationError,
    Difference,
    PublishResult,
    compare_tables,
    open_destination,
    publish_tables,
)
from tiktok_assets.session import open_store
from tiktok_assets.settings import Settings


def select_destinations(settings: Settings, chosen: Sequence[str] | None) -> list[str]:
    """Return the chosen destinations, or all of TIKTOK_DESTINATIONS.

    Raises:
        UsageError: if there is none, or one that the setting does not name.
    """
    if not settings.destinations:
        raise UsageError("no destination is set; name them in TIKTOK_DESTINATIONS, such as postgres.")
    if unknown := [name for name in chosen or () if name not in settings.destinations]:
        named = ", ".join(settings.destinations)
        raise UsageError(f"TIKTOK_DESTINATIONS does not name {unknown[0]!r}, only {named}.")
    return [name for name in settings.destinations if not chosen or name in chosen]


def publish_to_destinations(
    settings: Settings, destinations: Sequence[str], log: Callable[[str], None], *, repair: bool = False
) -> Iterator[PublishResult]:
    """Publish to one destination after the other, and yield what was done; one that fails does not stop the rest.

    Args:
        settings: with the store and the destinations.
        destinations: their names.
        log: receives one line per table.
        repair: whether the partitions that differ are published again, although the ledger has their version.
    """
    store = open_store(settings)
    tables = list_tables_to_publish(settings, store)
    for name in destinations:
        try:
            with closing(open_destination(name, settings)) as destination:
                again: dict[str, list[Difference]] = {}
                for one in compare_tables(tables, destination) if repair else ():
                    again.setdefault(one.table, []).append(one)
                partitions = {
                    table: {one.partition for one in found if one.partition} for table, found in again.items()
                }
                yield publish_tables(tables, destination, again=partitions, log=log)
        except DestinationError as error:
            yield PublishResult(name, failures=[str(error)])


def compare_destinations(
    settings: Settings, destinations: Sequence[str]
) -> tuple[list[tuple[str, Difference]], list[str]]:
    """Compare the store with each destination.

    Returns:
        Each difference with its destination, and one sentence for each destination that cannot be compared.
    """
    store = open_store(settings)
    tables = list_tables_to_publish(settings, store)
    differences: list[tuple[str, Difference]] = []
    failures: list[str] = []
    for name in destinations:
        try:
            with closing(open_destination(name, settings)) as destination:
                differences += [(name, one) for one in compare_tables(tables, destination)]
        except DestinationError as error:
            failures.append(str(error))
    return differences, failures
