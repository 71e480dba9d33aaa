"""The sandbox's page leaves nothing out and names nothing that is not there."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from tiktok_assets import sandbox
from tiktok_assets.sandbox import control
from tiktok_assets.sandbox.http import context, faults

HERE = Path(__file__).parent
PAGE = (Path(str(sandbox.__file__)).parent / "README.md").read_text()


@pytest.mark.parametrize("name", [*(one.name for one in fields(context.Switches)), *faults.KINDS])
def test_every_switch_and_fault_is_on_the_page(name: str) -> None:
    """Switches and kinds of fault are named where users look for them."""
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("route", [one for one in control.ROUTES if not one.startswith("truth/{")])
def test_every_control_route_is_on_the_page(route: str) -> None:
    """Control routes are named where users look for them."""
    assert f"`{route}`" in PAGE


def test_every_test_the_page_names_exists() -> None:
    """The table of duties points at tests that are there."""
    module = ""
    for found, test in re.findall(r"`(test_\w+)?(?:::(test_\w+))?`", PAGE):
        module = found or module
        source = (HERE / f"{module}.py").read_text() if found or test else ""
        assert not test or f"def {test}(" in source, (module, test)
    assert module
    assert PAGE.index("## What it does not imitate") < PAGE.index("## Start it")
