"""Who owns the assets and what they are found by, put on all of them in one place."""

from collections.abc import Iterable, Mapping

import dagster as dg

from tiktok_assets.settings import Settings

OWNERS = ("team:marketing",)
"""Nobody in particular: a project of your own overrides it with `dg.map_asset_specs`."""


def labelled(assets: Iterable[dg.AssetsDefinition], settings: Settings) -> list[dg.AssetsDefinition]:
    """The assets with owners, and each report with the tags `level` and `cadence`."""
    tags = {
        report.table: {"level": report.level.name, "cadence": report.cadence} for report in settings.chosen_reports
    }
    return [asset.map_asset_specs(lambda spec: _labelled(spec, tags)) for asset in assets]


def _labelled(spec: dg.AssetSpec, tags: Mapping[str, Mapping[str, str]]) -> dg.AssetSpec:
    return spec.merge_attributes(owners=OWNERS, tags=tags.get(spec.key.path[-1], {}))
