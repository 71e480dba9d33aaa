"""What there is to say of a metric."""

from dataclasses import dataclass
from typing import Literal

MetricKind = Literal["money", "count", "rate", "ratio", "text"]
Served = Literal["everywhere", "account_days"]


@dataclass(frozen=True, slots=True)
class Quotient:
    """How a rate, ratio or cost-per follows from counts: `top` x `times` / `bottom`, by the API's names."""

    top: str
    bottom: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        api_name: what the API calls it.
        kind: see `columns.Kind`.
        additive: whether it may be summed over days, ads and levels; reach, rates and averages may not.
        meaning: one line.
        name: what we publish it as; differs from `api_name` only where the API's name misleads.
        standard: whether it is asked for unless `TIKTOK_METRICS` says otherwise.
        counts_people: whether it rests on unique people: 16 hours late (7).
        quotient: what it is recomputed from, where that is known.
        served: "account_days" is refused everywhere but in the daily report of the account (6.6, 9 #3).
    """

    api_name: str
    kind: MetricKind
    additive: bool
    meaning: str
    name: str
    standard: bool
    counts_people: bool
    quotient: Quotient | None
    served: Served
