"""The services of the cluster: each a process of its own with a folder of its own, on free ports of loopback."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tiktok_assets_tests.environment import clean_environment
from tiktok_assets_tests.processes import Service, find_free_port

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BUCKET = "cluster"
LOCATIONS = ("north", "south")
WORKERS = ("worker-1", "worker-2")

_MODULES = {"dagster_celery": "celery", "redis": "redis", "s3fs": "s3", "psycopg2": "postgres", "moto": "cluster"}
"""The modules that the services need, with the extras that install them."""


class MissingProgramError(Exception):
    """A program or module is not installed; the message says how to install it."""


@dataclass(frozen=True)
class Size:
    """How much the cluster has to do.

    Attributes:
        accounts: ad accounts, half of them in each code location.
        days: of the backfill.
        ads: of each account.
        per_second: requests that the sandbox allows in a second.
    """

    accounts: int = 20
    days: int = 90
    ads: int = 20
    per_second: int = 10


def find_missing() -> None:
    """Check that every program and module is installed.

    Raises:
        MissingProgramError: if one is not.
    """
    if extras := sorted(extra for name, extra in _MODULES.items() if not importlib.util.find_spec(name)):
        raise MissingProgramError(f"The extras are not installed: pip install --editable '.[{','.join(extras)}]'")
    if not shutil.which("redis-server") or not _postgres_folder():
        raise MissingProgramError(
            "Postgres or Redis is not installed: apt-get install postgresql redis-server (Debian and Ubuntu)"
        )


def _postgres_folder() -> Path | None:
    """Return the folder of Postgres' programs, which Debian does not put on PATH."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((path.parent for path in versions), key=lambda path: float(path.parent.name), default=None)


@dataclass
class Cluster:
    """All services, from `__enter__` to `__exit__`.

    Attributes:
        folder: of their folders; it should be new.
        size: how much there is to do.
        anchor: the time at which the sandbox's clock starts.
        services: by name, in the order they are started in.
        seconds: how long each took to start.
        advertiser_ids: the accounts of each code location.
    """

    folder: Path
    size: Size
    anchor: datetime = field(
        default_factory=lambda: datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    )
    services: dict[str, Service] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    advertiser_ids: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def first_day(self) -> date:
        """The first day of the daily tables, `days` before today."""
        return (self.anchor - timedelta(days=self.size.days)).date()

    def __enter__(self) -> Self:
        find_missing()
        names = ("postgres", "redis", "store", "sandbox", *LOCATIONS, "webserver")
        self._ports = {name: find_free_port() for name in names}
        self.folder.chmod(0o711)  # Postgres runs as a user of its own
        try:
            self._start_stores()
            self._start_sandbox()
            self._start_dagster()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for service in reversed(self.services.values()):
            service.kill()

    def start(self, name: str) -> None:
        """Start a service that was prepared or killed."""
        self.seconds[name] = self.services[name].start(120)

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that all processes of Dagster share, those of `deploy/` among them."""
        ports, redis = self._ports, f"redis://127.0.0.1:{self._ports['redis']}"
        postgres = f"postgresql+psycopg2://postgres@127.0.0.1:{ports['postgres']}"
        return clean_environment(
            {
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "PYTHONPATH": os.pathsep.join((str(DEPLOY), str(ROOT))),
                "DAGSTER_POSTGRES_URL": f"{postgres}/dagster",
                "CELERY_BROKER_URL": f"{redis}/0",
                **{f"{name.upper()}_HOST": "127.0.0.1" for name in LOCATIONS},
                **{f"{name.upper()}_PORT": str(ports[name]) for name in LOCATIONS},
                **{f"{name.upper()}_ADVERTISER_IDS": ",".join(ids) for name, ids in self.advertiser_ids.items()},
                "TIKTOK_BASE_URL": self.sandbox_url,
                "TIKTOK_ACCESS_TOKEN": self._app["token"],
                "TIKTOK_APP_ID": self._app["app_id"],
                "TIKTOK_APP_SECRET": self._app["secret"],
                "TIKTOK_QPS": str(self.size.per_second),
                "TIKTOK_START_DATE": self.first_day.isoformat(),
                "TIKTOK_REFRESH_CRON": "* * * * *",  # the schedule is switched on for the morning only
                "TIKTOK_STATE_URL": f"{postgres}/tiktok",
                "TIKTOK_LIMITER_URL": f"{redis}/1",
                "TIKTOK_DATA_DIR": f"s3://{BUCKET}/tiktok",
                "AWS_ENDPOINT_URL": self.store_url,
                "AWS_ALLOW_HTTP": "true",
                "AWS_ACCESS_KEY_ID": "key",
                "AWS_SECRET_ACCESS_KEY": "secret",
                "AWS_REGION": "us-east-1",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true",
            }
        )

    @property
    def sandbox_url(self) -> str:
        """The URL of the sandbox."""
        return f"http://127.0.0.1:{self._ports['sandbox']}"

    @property
    def store_url(self) -> str:
        """The URL of the object store."""
        return f"http://127.0.0.1:{self._ports['store']}"

    @property
    def webserver_url(self) -> str:
        """The URL of Dagster's web server."""
        return f"http://127.0.0.1:{self._ports['webserver']}"

    def home(self, name: str) -> dict[str, str]:
        """Create the Dagster home and the state folder of a process, and return the variables that name them."""
        home = self.folder / name / "dagster"
        home.mkdir(parents=True, exist_ok=True)
        for file in ("dagster.yaml", "workspace.yaml"):
            shutil.copy(DEPLOY / file, home)
        return {"DAGSTER_HOME": str(home), "TIKTOK_STATE_DIR": str(self.folder / name / "state")}

    def _start_stores(self) -> None:
        ports = self._ports
        data = self.folder / "postgres"
        data.mkdir()
        programs, as_postgres = _postgres_folder(), []
        if os.geteuid() == 0:  # Postgres refuses to run as root
            account = pwd.getpwnam("postgres")
            os.chown(data, account.pw_uid, account.pw_gid)
            as_postgres = ["runuser", "-u", "postgres", "--"]
        create = [f"{programs}/initdb", "-D", f"{data}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        subprocess.run([*as_postgres, *create], check=True, capture_output=True)  # noqa: S603 - Postgres' program
        where = ["-h", "127.0.0.1", "-p", str(ports["postgres"]), "-U", "postgres"]
        self._add(
            "postgres",
            [*as_postgres, f"{programs}/postgres", "-D", f"{data}/data", *where[:4], "-k", str(data)],
            lambda: _succeeds([f"{programs}/pg_isready", *where]),
        )
        for database in ("dagster", "tiktok"):
            subprocess.run([f"{programs}/createdb", *where, database], check=True)  # noqa: S603 - the same
        redis = ["redis-server", "--port", str(ports["redis"]), "--bind", "127.0.0.1", "--appendonly", "yes"]
        self._add("redis", redis, lambda: _succeeds(["redis-cli", "-p", str(ports["redis"]), "ping"]))
        store = [_program("moto_server"), "-H", "127.0.0.1", "-p", str(ports["store"])]
        self._add("store", store, lambda: _answers(f"{self.store_url}/moto-api/"))
        httpx.put(f"{self.store_url}/{BUCKET}").raise_for_status()

    def _start_sandbox(self) -> None:
        options = {
            "port": self._ports["sandbox"],
            "advertisers": self.size.accounts + 1,  # the fifth is not granted
            "days": self.size.days + 2,
            "campaigns": 2,
            "ad-groups": 4,
            "ads": self.size.ads,
            "qps": self.size.per_second,
            "anchor": self.anchor.isoformat(),
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self._add(
            "sandbox",
            [sys.executable, "-m", "tiktok_assets.sandbox", "--dense", "--run-clock", "--json", *words],
            lambda: _answers(f"{self.sandbox_url}/sandbox/info"),
        )
        info = httpx.get(f"{self.sandbox_url}/sandbox/info").json()
        self._app: dict[str, str] = info
        granted = [one["advertiser_id"] for one in info["advertisers"] if one["granted"]][: self.size.accounts]
        half = len(granted) // 2
        self.advertiser_ids = {"north": tuple(granted[:half]), "south": tuple(granted[half:])}

    def _start_dagster(self) -> None:
        subprocess.run(  # noqa: S603 - Dagster's program
            [_program("dagster"), "instance", "migrate"],
            env={**self.environment, **self.home("migration")},
            check=True,
            capture_output=True,
        )
        for name in LOCATIONS:
            port = str(self._ports[name])
            serve = [_program("dagster"), "code-server", "start", "-m", name, "-h", "127.0.0.1", "-p", port]
            self._prepare(name, serve, partial(_serves_code, port))
            self.services[name].launch()
        web = [_program("dagster-webserver"), "-h", "127.0.0.1", "-p", str(self._ports["webserver"])]
        self._prepare(
            "webserver", [*web, "-w", str(DEPLOY / "workspace.yaml")], lambda: _answers(self.webserver_url)
        )
        for name in WORKERS:
            work = [
                "-A",
                "tiktok_assets.instance.celery_worker",
                "worker",
                "-Q",
                "dagster",
                "-c",
                "2",
                "-l",
                "INFO",
            ]
            command = [_program("celery"), *work, "-n", f"{name}@cluster"]
            self._prepare(name, command, partial(self._has_said, name, " ready."))
            self.services[name].launch()
        daemon = [_program("dagster-daemon"), "run", "-w", str(DEPLOY / "workspace.yaml")]
        # The schedules are switched off before it is started.
        self._prepare("daemon", daemon, lambda: True)
        for name in LOCATIONS:
            self.services[name].wait_until_ready(120)
        self.start("webserver")
        for name in WORKERS:
            self.services[name].wait_until_ready(120)

    def _prepare(self, name: str, command: list[str], is_ready: Callable[[], bool]) -> None:
        own = self.home(name) if name in {*LOCATIONS, *WORKERS, "webserver", "daemon"} else {}
        environment = {**self.environment, **own} if own else clean_environment({"PYTHONPATH": str(ROOT)})
        self.services[name] = Service(name, command, self.folder / name, environment, is_ready)

    def _has_said(self, name: str, words: str) -> bool:
        return self.services[name].has_said(words)

    def _add(self, name: str, command: list[str], is_ready: Callable[[], bool]) -> None:
        self._prepare(name, command, is_ready)
        self.start(name)


def _program(name: str) -> str:
    """Return the path of a program that is installed beside this Python."""
    return str(Path(sys.executable).with_name(name))


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603 - our own


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code < 500
    except httpx.HTTPError:
        return False


def _serves_code(port: str) -> bool:
    request: Any = health_pb2.HealthCheckRequest(service="DagsterApi")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=5)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
