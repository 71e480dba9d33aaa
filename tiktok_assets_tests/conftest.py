"""Fixtures and settings of all tests."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest
from dagster._core.storage.defs_state.base import set_defs_state_storage
from hypothesis import settings

from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.duplication.harness import PLAN, DuplicationHarness, open_harness

MEMORY_FILES = Path("/dev/shm")  # noqa: S108 - Linux keeps its files in memory
MIN_FREE_BYTES = 4 * 1024**3

_TRUSTED = tempfile.NamedTemporaryFile(suffix=".pem")  # noqa: SIM115 - removed at the end of the process

# Other programs run beside the tests, so no example has a deadline.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


def pytest_configure() -> None:
    """Keep temporary files in memory, and trust one certificate authority only.

    SQLite waits for the disk with each commit, and each HTTP client reads every trusted certificate. Both cost
    minutes of a suite that opens hundreds of databases and clients, and no test cuts the power or leaves this
    machine. Processes that tests start inherit both.
    """
    if "TMPDIR" not in os.environ and _has_memory_files():
        os.environ["TMPDIR"] = str(MEMORY_FILES)
        tempfile.tempdir = None  # read TMPDIR again
    first, end, _ = Path(certifi.where()).read_bytes().partition(b"-----END CERTIFICATE-----\n")
    _TRUSTED.write(first + end)
    _TRUSTED.flush()
    os.environ["SSL_CERT_FILE"] = _TRUSTED.name


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Use half as many workers again as there are cores, because many tests wait for processes and clocks."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + max(1, cores // 2)


def _has_memory_files() -> bool:
    try:
        return os.access(MEMORY_FILES, os.W_OK) and shutil.disk_usage(MEMORY_FILES).free >= MIN_FREE_BYTES
    except OSError:
        return False


@pytest.fixture(autouse=True)
def _no_instance_of_another_test() -> Iterator[None]:
    """Unset the Dagster instance, which Dagster otherwise keeps using after its test has ended."""
    with set_defs_state_storage(None):
        yield


@pytest.fixture(scope="module")
def story_host() -> Iterator[Host]:
    """Serve the scenario's world over HTTP; each test of a module requests a copy with another number."""
    with Host.run(PLAN) as running:
        yield running


@pytest.fixture
def harness(story_host: Host, tmp_path: Path) -> Iterator[DuplicationHarness]:
    """Open the scenario's objects and their ground truth, with a ledger of the test's own."""
    with open_harness(story_host, tmp_path) as one:
        yield one
