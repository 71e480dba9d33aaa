"""The one resource: a session, built from the settings."""

from collections.abc import Iterator

import dagster as dg

from tiktok_assets.session import Session, open_session
from tiktok_assets.settings import Settings


def session_resource(settings: Settings, shared: Session | None = None) -> dg.ResourceDefinition:
    """The `tiktok` resource: a session of its own for each run, or the one a caller shares and closes.

    It has no Dagster configuration, so no run and no page of the user interface can show the token.
    """

    def _session(_: dg.InitResourceContext) -> Iterator[Session]:
        if shared:
            yield shared
            return
        with open_session(settings) as session:
            yield session

    return dg.ResourceDefinition(
        resource_fn=_session, description=f"TikTok Marketing API {settings.api_version} at {settings.base_url}"
    )
