"""Test the component as a project loads it from `defs.yaml`, and each thing that can be wrong in the file."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from tiktok_assets.component.attributes import LEFT_OUT
from tiktok_assets.component.component import TikTokAdsComponent
from tiktok_assets.component.sandbox_process import ensure_sandbox
from tiktok_assets.session import BUDGET_FILE
from tiktok_assets.settings import Settings
from tiktok_assets_tests.environment import clean_environment

PROJECT = """
[project]
name = "{name}"
version = "1"

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "{name}"
"""
DEFINITIONS = """
from pathlib import Path
import dagster as dg

@dg.definitions
def defs():
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
"""
OFFLINE = "base_url: http://127.0.0.1:9\n  access_token: none\n  start_date: '2026-10-01'"


class Project:
    """A `dg` project with a package of a name of its own, so that tests import theirs."""

    number = 0

    def __init__(self, folder: Path) -> None:
        Project.number += 1
        self.name = f"host_{Project.number}"
        self.folder = folder
        self.defs = folder / "src" / self.name / "defs"
        self.defs.mkdir(parents=True)
        (folder / "pyproject.toml").write_text(PROJECT.format(name=self.name))
        (self.defs / "__init__.py").touch()
        (self.defs.parent / "__init__.py").touch()
        (self.defs.parent / "definitions.py").write_text(DEFINITIONS)

    def add(self, name: str, attributes: str = OFFLINE, rest: str = "") -> None:
        """Add a component."""
        (self.defs / name).mkdir()
        text = f"type: tiktok_assets.TikTokAdsComponent\n\nattributes:\n  {attributes}\n{rest}"
        (self.defs / name / "defs.yaml").write_text(text)

    def load(self) -> dg.Definitions:
        """Load the project as `dg` does."""
        return dg.load_from_defs_folder(path_within_project=self.defs.parent)

    def specs(self) -> dict[str, dg.AssetSpec]:
        """Return the asset specs by key."""
        return {spec.key.to_user_string(): spec for spec in self.load().resolve_all_asset_specs()}

    def failure(self, use: Callable[[dg.Definitions], object] = dg.Definitions.resolve_all_asset_specs) -> str:
        """Return the messages of the error, and of its causes, with which the project does not load."""
        with pytest.raises(Exception) as caught:  # noqa: PT011 - Dagster wraps the error in several ways
            use(self.load())
        found: list[str] = []
        error: BaseException | None = caught.value
        while error:
            found.append(str(error))
            error = error.__cause__ or error.__context__
        return "\n".join(found)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Create an empty project whose package can be imported."""
    one = Project(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "src")
    with dg.DagsterInstance.ephemeral():
        yield one


@pytest.mark.slow
def test_two_components_are_side_by_side(project: Project) -> None:
    """Two components have their own keys, partitions, tables, state and request budget."""
    project.add("one", OFFLINE + "\n  key_prefix: one\n  reports: [ad_report_daily]")
    project.add("two", OFFLINE + "\n  key_prefix: agency/two\n  lookback_days: 3\n  advertiser_ids: [7001, 7002]")
    keys = set(project.specs())
    assert {"one/campaigns", "agency/two/campaigns", "agency/two/ad_report_lifetime"} <= keys
    assert "one/ad_report_lifetime" not in keys
    assert not (project.folder / "data").exists()  # loading stores nothing
    partitions = {
        part.name
        for key in ("one/campaigns", "agency/two/campaigns")
        if isinstance(part := project.specs()[key].partitions_def, dg.DynamicPartitionsDefinition)
    }
    assert len(partitions) == 2
    resources = project.load().resources or {}
    with dg.build_resources({name: resources[name] for name in ("one_session", "agency_two_session")}) as opened:
        sessions = [opened.one_session, opened.agency_two_session]
        assert len({one.settings.data_dir for one in sessions}) == 2
        for session in sessions:
            assert session.client.total.requests == 0  # opens the budget
            assert (session.settings.state_dir / BUDGET_FILE).is_file()
        assert len({one.settings.state_dir for one in sessions}) == 2


def test_each_setting_is_an_attribute() -> None:
    """The schema has every setting with its description, but not those that only commands have."""
    model = TikTokAdsComponent.get_model_cls()
    assert model
    properties = model.model_json_schema()["properties"]
    own = {"sandbox", "translation", "group_name", "published"}
    assert properties.keys() == (Settings.model_fields.keys() - LEFT_OUT) | own
    for name in Settings.model_fields.keys() - LEFT_OUT:
        assert properties[name]["description"] == Settings.model_fields[name].description, name


def test_environment_is_not_read(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only `{{ env.NAME }}` brings a value of the environment into a component."""
    monkeypatch.setenv("TIKTOK_KEY_PREFIX", "leaked")
    monkeypatch.setenv("MY_PREFIX", "mine")
    project.add("one", OFFLINE + '\n  key_prefix: "{{ env.MY_PREFIX }}"')
    assert {key.split("/")[0] for key in project.specs()} == {"mine"}


def test_tables_are_translated(project: Project) -> None:
    """Keys, groups, owners, tags and descriptions can be changed by table, and dependencies follow the keys."""
    project.add(
        "one",
        OFFLINE
        + """
  key_prefix: raw
  translation:
    key: "{{ 'marketing/' ~ table if table == 'ads' else spec.key.to_user_string() }}"
    group_name: "{{ 'leaders' if table == 'top_spenders' else 'tiktok' }}"
    owners: ["team:media"]
    tags: {domain: paid}
""",
    )
    specs = project.specs()
    assert "raw/ads" not in specs
    assert dg.AssetKey(["marketing", "ads"]) in {dep.asset_key for dep in specs["raw/ad_report_daily"].deps}
    assert specs["raw/top_spenders"].group_name == "leaders"
    assert specs["marketing/ads"].group_name == "tiktok"
    assert specs["raw/campaigns"].owners == ["team:media"]
    assert specs["raw/campaigns"].tags["domain"] == "paid"


STORE = """
import dagster as dg

@dg.definitions
def defs():
    return dg.Definitions(resources={"lake": dg.FilesystemIOManager()})
"""


def test_tables_are_chosen_grouped_and_published(project: Project) -> None:
    """`include`, `group_name` and `published` are attributes, and published tables are translated as others."""
    (project.defs / "store.py").write_text(STORE)
    project.add(
        "one",
        OFFLINE
        + """
  key_prefix: raw
  include: [advertisers, ads]
  group_name: {account: media}
  published: {io_manager_key: lake, tables: [ads]}
  translation:
    key: "{{ 'marketing/ads' if table == 'published/ads' else spec.key.to_user_string() }}"
    tags: {place: "{{ 'lake' if table.startswith('published/') else 'files' }}"}
""",
    )
    specs = project.specs()
    assert set(specs) == {"raw/advertisers", "raw/ads", "raw/ads_history", "marketing/ads"}
    assert specs["raw/ads"].group_name == "media"
    assert specs["marketing/ads"].group_name == "published"
    assert {key: spec.tags["place"] for key, spec in specs.items() if key.endswith("/ads")} == {
        "raw/ads": "files",
        "marketing/ads": "lake",
    }
    assert [dep.asset_key for dep in specs["marketing/ads"].deps] == [dg.AssetKey(["raw", "ads"])]


def test_missing_io_manager_of_the_project_is_named(project: Project) -> None:
    """An IO manager that no file of the project defines stops the load with its key and those that exist."""
    project.add("one", OFFLINE + "\n  include: [advertisers]\n  published: {io_manager_key: lake}")
    failure = project.failure(dg.Definitions.validate_loadable)
    assert "io manager with key 'lake' required by output 'result' of op 'published__advertisers'" in failure
    assert "was not provided. Please provide a IOManagerDefinition to key 'lake'" in failure


def test_definitions_are_post_processed(project: Project) -> None:
    """The file's `post_processing` changes the assets as for any component."""
    change = "{target: 'key:*campaigns', attributes: {tags: {checked: 'yes'}}}"
    project.add("one", OFFLINE, f"\npost_processing:\n  assets: [{change}]\n")
    specs = project.specs()
    assert specs["campaigns"].tags["checked"] == "yes"
    assert "checked" not in specs["ads"].tags


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (OFFLINE + "\n  lookback: 3", "lookback"),
        (
            OFFLINE + "\n  lookback_days: 300",
            "lookback_days cannot be used: Input should be less than or equal to 29",
        ),
        (OFFLINE + "\n  key_prefix: a-b", "key_prefix cannot be used: 'a-b' is not a prefix of asset keys"),
        (OFFLINE + "\n  reports: [ad_report]", "reports cannot be used: there is no report 'ad_report'"),
        (OFFLINE + "\n  translation: {key: x}", "'x' is the key of two tables; give each its own"),
        (
            OFFLINE + "\n  include: [ads]",
            "include cannot be used: ads is built from advertisers, which it leaves out.",
        ),
        (OFFLINE + "\n  group_name: {acount: x}", "group_name cannot be used: no group is called 'acount'."),
        (
            OFFLINE + "\n  published: {io_manager_key: lake, tables: [adz]}",
            "published.tables cannot be used: no table is called 'adz'.",
        ),
        (OFFLINE + "\n  published: {tables: [ads]}", "io_manager_key"),
        (OFFLINE + "\n  published: {io_manager_key: lake, partitions: x}", "partitions"),
        (OFFLINE + "\n  translation: {key: 'a b'}", "'a b' is not an asset key for"),
        (
            OFFLINE + "\n  advertiser_ids: [seven]",
            "advertiser_ids cannot be used: 'seven' is not an advertiser id",
        ),
    ],
)
def test_invalid_attribute_is_named(project: Project, attributes: str, message: str) -> None:
    """A wrong attribute stops the load with its name, what is wrong, and the file."""
    project.add("one", attributes)
    failure = project.failure()
    assert message in failure
    assert "one/defs.yaml" in failure


def test_components_with_one_prefix_are_refused(project: Project) -> None:
    """Two components with the same prefix are refused with the prefix and the file."""
    project.add("one", OFFLINE + "\n  key_prefix: same")
    project.add("two", OFFLINE + "\n  key_prefix: same")
    assert (
        "two components of this project have the key_prefix 'same'; give each one of its own." in project.failure()
    )


@pytest.mark.slow
def test_scaffolded_component_runs_against_the_sandbox(project: Project) -> None:
    """What `dg scaffold defs` writes loads at once, and its resource reads the accounts of its own sandbox."""
    command = [
        str(Path(sys.executable).parent / "dg"),
        "scaffold",
        "defs",
        "tiktok_assets.TikTokAdsComponent",
        "ours",
    ]
    environment = clean_environment({"PYTHONPATH": str(project.folder / "src")})
    subprocess.run(command, cwd=project.folder, env=environment, check=True, capture_output=True)  # noqa: S603
    assert "ours/campaigns" in project.specs()
    state = project.folder / ".tiktok_assets" / "ours"
    served = json.loads((state / "sandbox.json").read_text())
    assert ensure_sandbox(state) == served  # another process finds the same one
    resources = project.load().resources or {}
    with dg.build_init_resource_context() as context:
        session = resources["ours_session"].resource_fn(context)
        assert len(next(session).advertiser_ids) == 4
        session.close()
