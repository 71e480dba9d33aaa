"""The figures of a simulation."""

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass
class Figures:
    """What was lived, injected and asserted.

    Attributes:
        seeds: number of worlds lived to their end, or to a failure.
        account_days: simulated days times accounts with campaigns.
        refreshes: number of refreshes.
        requests: requests that reached the host.
        seconds: real seconds of the worker.
        processor_seconds: of them on the processor.
        faults: injected faults by kind, those that occurred.
        events: what people did, by kind.
        assertions: evaluated assertions by kind.
        flagged, duplicated, refused: alerts, finished and refused duplications.
        most_memory: the largest memory of a worker, in megabytes.
        failures: seed, step and text of each violation.
    """

    seeds: int = 0
    account_days: int = 0
    refreshes: int = 0
    requests: int = 0
    seconds: float = 0.0
    processor_seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    assertions: Counter[str] = field(default_factory=Counter)
    flagged: int = 0
    messages: int = 0
    duplicated: int = 0
    undone: int = 0
    most_memory: float = 0.0
    failures: list[dict[str, Any]] = field(default_factory=list)

    def add(self, other: "Figures") -> None:
        """Add the figures of another worker or world; seconds are those of the longest."""
        for name in (
            *("seeds", "account_days", "refreshes", "requests", "processor_seconds", "flagged", "messages"),
            *("duplicated", "undone"),
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("faults", "events", "assertions"):
            getattr(self, name).update(getattr(other, name))
        self.seconds = max(self.seconds, other.seconds)
        self.most_memory = max(self.most_memory, other.most_memory)
        self.failures += other.failures

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Figures":
        """Create the figures from what `to_json` returned."""
        counted = {name: Counter(values[name]) for name in ("faults", "events", "assertions")}
        return cls(**{**values, **counted})

    def __str__(self) -> str:
        years = self.account_days / 365
        hourly = years * 3600 / self.seconds if self.seconds else 0
        lived = f"{years:.1f} account-years in {self.seconds:.0f} s ({hourly:.0f} an hour)"
        cost = f"{self.processor_seconds:.0f} processor seconds, {self.most_memory:.0f} MB at most"
        done = f"{self.seeds} seeds, {self.refreshes} refreshes, {self.requests} requests"
        told = f"{self.flagged} new leaders flagged, {self.messages} messages received"
        lines = [
            f"{lived}, {cost}",
            f"{done}, {told}, {self.duplicated} ads duplicated, {self.undone} undone",
            f"{self.faults.total()} faults injected: {_list(self.faults)}",
            f"events: {_list(self.events)}",
            f"{self.assertions.total()} assertions evaluated: {_list(self.assertions)}",
            f"{len(self.failures)} violations",
        ]
        for one in self.failures:
            lines.append(f"  seed {one['seed']}, day {one['day']}, {one['step']}: {one['text']}")
            lines.append(f"    replay: make simulate SEED={one['seed']}")
        return "\n".join(lines)


def _list(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
