"""Derive the attributes of the component from the settings, so that each setting is declared once."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import dagster as dg
from pydantic import SecretStr, ValidationError, create_model
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from tiktok_assets.settings import Settings, SettingsError, describe_invalid_setting

LEFT_OUT = frozenset({"api_version", "allowed_hosts", "ui_password", "dagster_home", "asset_keys"})
"""Settings of the commands `get` and `dev`, and the keys, which the attribute `translation` sets."""

_COMMA_SEPARATED = frozenset({"reports", "metrics"})
"""Settings that are one text of names, which YAML lists."""

_YAML_TYPES: Mapping[Any, Any] = {
    SecretStr: str,
    Path: str,
    # A float would not be exact, so an amount with decimals is written in quotes.
    Decimal: str | int,
    int: int,
    float: float,
}


class _ExplicitSettings(Settings):
    """Settings from the attributes of a component alone.

    The environment and `.env` are not read, so that two components of a project are independent.
    """

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use the given values only."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


def _find_yaml_type(name: str, annotation: Any) -> Any:  # noqa: ANN401 - a type
    """Return the type of a setting as YAML has it."""
    if name in _COMMA_SEPARATED:
        return list[str] | str
    kinds = [kind for kind in (get_args(annotation) or (annotation,)) if kind is not type(None)]
    if get_origin(annotation) is list or annotation is list:
        return list[str | int]
    if get_origin(annotation) is dict:
        return dict[str, str | int]
    return _YAML_TYPES.get(kinds[0], str) if len(kinds) == 1 else str


def _build_base() -> type[Any]:
    fields: dict[str, Any] = {}
    for name, setting in Settings.model_fields.items():
        if name not in LEFT_OUT:
            kind = _find_yaml_type(name, setting.annotation)
            fields[name] = (Annotated[kind | None, dg.Resolver.default(description=setting.description)], None)
    return create_model("SettingsAttributes", __base__=(dg.Model, dg.Resolvable), **fields)


SettingsAttributes = _build_base()
"""A model with an attribute for each setting; one that is not given has its default."""


class PublishedAttributes(dg.Model, dg.Resolvable):
    """Which tables go through an IO manager of the project as well; see `docs/own_project.md`."""

    io_manager_key: Annotated[
        str, dg.Resolver.default(description="resource key of the IO manager, which takes polars.DataFrame")
    ]
    tables: Annotated[list[str] | None, dg.Resolver.default(description="the tables; all by default")] = None
    namespace: Annotated[
        str | None,
        dg.Resolver.default(description="schema, dataset or namespace in databases; by default the key prefix"),
    ] = None
    verify: Annotated[
        bool, dg.Resolver.default(description="read each partition back and compare it after it was written")
    ] = True


def build_settings(attributes: Mapping[str, Any]) -> Settings:
    """Build the settings from the attributes of a component that are given.

    Raises:
        SettingsError: if a value is invalid; one sentence with the attribute, what is wrong and how to fix it.
    """
    values = {
        Settings.model_fields[name].alias or name: _convert(value)
        for name, value in attributes.items()
        if value is not None
    }
    try:
        return _ExplicitSettings(**values)
    except ValidationError as error:
        field, _, reason = describe_invalid_setting(error)
        # The cause could contain a secret.
        raise SettingsError(f"{field} cannot be used: {reason}. Change it in defs.yaml.") from None


def _convert(value: Any) -> Any:  # noqa: ANN401 - any value of YAML
    """Convert a value of YAML to what the setting takes; ids that YAML reads as numbers become text."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, Mapping):
        return {str(key): str(one) for key, one in value.items()}
    return value
