"""Reports that time out: one that did so twice within ten minutes is not sent a third time (dossier 4.3)."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from tiktok_assets.api.errors import TimedOutError

MOST_TIMEOUTS_OF_A_REPORT = 2
"""The third has TikTok block the report, for every process and every host of the app."""

TIMEOUT_MEMORY_SECONDS = 600.0
"""How long TikTok counts a time-out, by the wall clock."""


class Timeouts(Protocol):
    """What is remembered of reports that timed out, by all processes that share the state."""

    def begin(self, identity: str) -> float | None:
        """Ask leave to send a report: None, or the seconds to stay away from it.

        A report that timed out once counts as timed out again until `end` is called, so that of two processes
        that ask at the same moment one is sent, and a killed one is not forgotten.
        """

    def end(self, identity: str, *, timed_out: bool) -> float | None:
        """Say what became of a report that had leave; returns the seconds to stay away from it now."""


def identity_of(url: str, query: Mapping[str, str]) -> str:
    """The same for the same question to the same host, whoever asks; reveals nothing of it.

    >>> identity_of("u", {"a": "1", "b": "2"}) == identity_of("u", {"b": "2", "a": "1"})
    True
    """
    return hashlib.sha256(json.dumps([url, sorted(query.items())]).encode()).hexdigest()


@contextmanager
def watched(timeouts: Timeouts, identity: str) -> Iterator[None]:
    """Around the sending of one report.

    Raises:
        TimedOutError: instead of a third time-out, with the seconds after which it may be sent again.
    """
    if seconds := timeouts.begin(identity):
        error = TimedOutError("this report timed out twice within ten minutes; a third time would have it blocked")
        error.retry_after_seconds = seconds
        raise error
    timed_out = False
    try:
        yield
    except TimedOutError as error:
        timed_out = True
        error.retry_after_seconds = timeouts.end(identity, timed_out=True)
        raise
    finally:
        if not timed_out:
            timeouts.end(identity, timed_out=False)
