"""Define the component `TikTokAdsComponent`, which loads everything from the attributes of a `defs.yaml`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import dagster as dg
from dagster.components.utils.translation import TranslationFn, TranslationFnResolver
from pydantic import PrivateAttr

from tiktok_assets.component.attributes import LEFT_OUT, PublishedAttributes, SettingsAttributes, build_settings
from tiktok_assets.component.sandbox_process import ensure_sandbox
from tiktok_assets.definitions import build_definitions
from tiktok_assets.defs import Names, Publication, get_destination_assets, list_all_names, list_published_tables
from tiktok_assets.naming import PUBLISHED
from tiktok_assets.settings import Settings, SettingsError

DAYS_BACK = 90
"""How many days before the scaffold the tables begin."""


class TikTokAdsScaffolder(dg.Scaffolder[Any]):
    """Write a `defs.yaml` that runs against the sandbox at once."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the file."""
        if request.scaffold_format == "python":
            dg.scaffold_component(request)
            return
        name = request.target_path.name
        (request.target_path / "defs.yaml").write_text(
            _TEMPLATE.format(
                type=request.type_name, name=name, first_day=datetime.now(UTC).date() - timedelta(DAYS_BACK)
            ),
            encoding="utf-8",
        )


_TEMPLATE = """\
type: {type}

attributes:
  # An imitation of TikTok's API on this machine. For your own ad accounts, remove this line and set the token:
  sandbox: true
  # access_token: "{{{{ env.TIKTOK_ACCESS_TOKEN }}}}"
  # app_id: "{{{{ env.TIKTOK_APP_ID }}}}"
  # app_secret: "{{{{ env.TIKTOK_APP_SECRET }}}}"
  key_prefix: {name}
  start_date: "{first_day}"
  # In the sandbox every five minutes; for your own accounts use "30 12 * * *", after TikTok's daily correction.
  refresh_cron: "*/5 * * * *"
"""


@dg.scaffold_with(TikTokAdsScaffolder)
class TikTokAdsComponent(dg.Component, SettingsAttributes):  # type: ignore[misc] # built from the settings
    """TikTok Ads reporting: accounts, campaigns, ad groups, ads, reports, creatives, alerts.

    Every setting of `tiktok_assets` is an attribute. The environment and `.env` are not read; use
    `{{ env.NAME }}` for credentials. Tables and state of two components are apart by default.
    """

    sandbox: Annotated[
        bool,
        dg.Resolver.default(
            description="start an imitation of TikTok's API on this machine and use it; needs no account"
        ),
    ] = False
    group_name: Annotated[
        str | dict[str, str] | None,
        dg.Resolver.default(description="one group for all assets, or the new names of some groups"),
    ] = None
    published: Annotated[
        PublishedAttributes | None,
        dg.Resolver.default(description="the tables that go through an IO manager of this project as well"),
    ] = None
    translation: Annotated[
        TranslationFn[str] | None,
        TranslationFnResolver[str](template_vars_for_translation_fn=lambda table: {"table": table}),
    ] = None

    _settings: Settings | None = PrivateAttr(default=None)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the definitions of this component.

        Raises:
            dagster.DagsterInvalidDefinitionError: if an attribute is invalid, or another component of the project
                has the same prefix; one sentence with the file and how to fix it.
        """
        try:
            self._check_prefix(context)
            settings = self.build_settings(context.project_root)
            definitions = build_definitions(settings, group_name=self.group_name, published=self._publication)
        except SettingsError as error:
            raise dg.DagsterInvalidDefinitionError(f"{context.path / 'defs.yaml'}: {error}") from None
        return self._translate(definitions, Names(settings))

    def build_settings(self, project_root: Path) -> Settings:
        """Build the settings from the attributes.

        Args:
            project_root: the folder below which tables and state are stored by default.

        Raises:
            SettingsError: if an attribute is invalid.
        """
        names = [name for name in Settings.model_fields if name not in LEFT_OUT]
        attributes = {name: getattr(self, name) for name in names}
        own = (self.key_prefix or "tiktok").replace("/", "_")
        attributes["data_dir"] = attributes["data_dir"] or str(project_root / "data" / own)
        attributes["state_dir"] = attributes["state_dir"] or str(project_root / ".tiktok_assets" / own)
        if self.sandbox:
            served = ensure_sandbox(Path(attributes["state_dir"]))
            attributes |= {
                "base_url": served["base_url"],
                "access_token": served["token"],
                "app_id": served["app_id"],
                "app_secret": served["secret"],
            }
        settings = build_settings(attributes)
        if not self.translation:
            return settings
        return build_settings({**attributes, "asset_keys": self._find_translated_keys(settings)})

    @property
    def _publication(self) -> Publication | None:
        return Publication(**dict(self.published)) if self.published else None

    def _find_translated_keys(self, settings: Settings) -> Mapping[str, str]:
        """Return the keys that the translation changes, by table."""
        names = Names(settings)
        keys: dict[str, str] = {}
        published = [f"{PUBLISHED}/{table}" for table in list_published_tables(settings, self._publication)]
        for table in (*list_all_names(settings), *published, *get_destination_assets(settings)):
            spec = dg.AssetSpec(names.key(table))
            translated = self.translation(spec, table) if self.translation else spec
            if translated.key != spec.key:
                keys[table] = translated.key.to_user_string()
        return keys

    def _translate(self, definitions: dg.Definitions, names: Names) -> dg.Definitions:
        """Apply the translation to everything but the keys, which the definitions already have."""
        translation = self.translation
        if not translation:
            return definitions

        def translate(spec: dg.AssetSpec) -> dg.AssetSpec:
            return translation(spec, names.table(spec.key)).replace_attributes(key=spec.key)

        return definitions.map_asset_specs(func=translate)

    def _check_prefix(self, context: dg.ComponentLoadContext) -> None:
        """Reject a prefix that another component of the project has.

        Raises:
            SettingsError: if there is one.
        """
        components: list[TikTokAdsComponent] = context.component_tree.get_all_components(TikTokAdsComponent)
        own = self.key_prefix or ""
        if sum((one.key_prefix or "") == own for one in components) > 1:
            shown = f"the key_prefix {own!r}" if own else "no key_prefix"
            raise SettingsError(f"two components of this project have {shown}; give each one of its own.")
