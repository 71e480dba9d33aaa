"""The files of `deploy/` are valid, agree with each other, and limit what the local instance limits.

`make cluster` runs them; here no server is needed.
"""

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # ships no types
from dagster import DagsterInstance
from dagster._core.instance.config import dagster_instance_config

from tiktok_assets.instance.celery_launcher import CeleryRunLauncher
from tiktok_assets.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
URL = "redis://127.0.0.1:6379/0"


def read_yaml(name: str) -> Any:  # noqa: ANN401 - YAML
    """Return the content of a file of `deploy/`."""
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def find_variables(content: Any) -> set[str]:  # noqa: ANN401 - YAML
    """Return the names in `env: NAME`, wherever they stand."""
    if isinstance(content, dict):
        own = {content["env"]} if set(content) == {"env"} else set()
        return own.union(*map(find_variables, content.values()))
    return set().union(*map(find_variables, content)) if isinstance(content, list) else set()


@pytest.fixture
def configuration(monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - YAML
    """Return `dagster.yaml` as Dagster validates it."""
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "postgresql+psycopg2://user@127.0.0.1/dagster")
    monkeypatch.setenv("CELERY_BROKER_URL", URL)
    return dagster_instance_config(str(DEPLOY))[0]


def test_dagster_yaml_is_valid_and_launches_on_celery(configuration: Any) -> None:  # noqa: ANN401 - YAML
    """Dagster accepts `dagster.yaml`, and its launcher is ours, with the broker of the environment."""
    launcher = configuration["run_launcher"]
    overrides = {"run_launcher": launcher, "telemetry": {"enabled": False}}
    with DagsterInstance.local_temp(overrides=overrides) as instance:
        found = instance.run_launcher
    assert isinstance(found, CeleryRunLauncher)
    assert found.broker == found.backend == URL
    assert configuration["run_monitoring"]["enabled"]
    assert configuration["run_retries"] == {
        "enabled": True,
        "max_retries": 3,
        "retry_on_asset_or_op_failure": False,
    }


def test_limits_are_those_of_the_local_instance() -> None:
    """Queue, threads and retention are those of the `dagster.yaml` that `dev` writes; the chart's values too."""
    local = yaml.safe_load(files("tiktok_assets.instance").joinpath("dagster.yaml").read_text(encoding="utf-8"))
    deployed, chart = read_yaml("dagster.yaml"), read_yaml("helm-values.yaml")
    for name in ("concurrency", "run_queue", "sensors", "retention", "telemetry", "nux"):
        assert deployed[name] == local[name], name
    daemon = chart["dagsterDaemon"]
    assert daemon["runCoordinator"]["config"]["queuedRunCoordinator"] == {
        "maxConcurrentRuns": local["concurrency"]["runs"]["max_concurrent_runs"],
        "dequeueIntervalSeconds": local["run_queue"]["dequeue_interval_seconds"],
    }
    assert daemon["sensors"] == {
        "useThreads": local["sensors"]["use_threads"],
        "numWorkers": local["sensors"]["num_workers"],
    }
    assert chart["additionalInstanceConfig"]["run_retries"] == deployed["run_retries"]
    assert chart["retention"]["sensor"]["purgeAfterDays"]["skipped"] == 1


def test_compose_gives_every_variable() -> None:
    """What `dagster.yaml` and `workspace.yaml` read from the environment is set for the containers of Dagster."""
    services = read_yaml("compose.yaml")["services"]
    needed = find_variables(read_yaml("dagster.yaml")) | find_variables(read_yaml("workspace.yaml"))
    for name in ("north", "south", "webserver", "daemon", "worker-1", "worker-2", "migration"):
        assert set(services[name]["environment"]) >= needed, name
    assert len(needed) == 6


def test_every_code_location_has_a_module_and_a_server() -> None:
    """`workspace.yaml`, the compose file and the chart name the same code locations, and each has its module."""
    locations = [one["grpc_server"]["location_name"] for one in read_yaml("workspace.yaml")["load_from"]]
    services = read_yaml("compose.yaml")["services"]
    deployments = read_yaml("helm-values.yaml")["dagster-user-deployments"]["deployments"]
    assert [one["name"] for one in deployments] == locations
    for name, deployment in zip(locations, deployments, strict=True):
        assert (DEPLOY / f"{name}.py").is_file()
        assert services[name]["command"][:5] == ["dagster", "code-server", "start", "-m", name]
        assert deployment["codeServerArgs"] == ["-m", name]


def test_variables_of_the_project_are_settings() -> None:
    """Each TIKTOK variable that a file of `deploy/` names is a setting."""
    known = {field.alias for field in Settings.model_fields.values()}
    for path in sorted(DEPLOY.glob("*")):
        if path.is_file():
            words = path.read_text(encoding="utf-8").replace("=", " ").replace(":", " ").split()
            named = {word.strip("\"'`,") for word in words if word.strip("\"'`,").startswith("TIKTOK_")}
            assert {one for one in named if one.isupper()} <= known, path.name
