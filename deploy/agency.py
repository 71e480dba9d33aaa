"""Build the definitions of a code location: the accounts of one part of the agency.

Every process that loads a code location needs this folder on `PYTHONPATH`: the code servers and the workers.
"""

import os

import dagster as dg

from tiktok_assets.definitions import build_definitions
from tiktok_assets.settings import load_settings


def build_location(name: str) -> dg.Definitions:
    """Build the definitions of the accounts in the variable `NAME_ADVERTISER_IDS`, with tables of their own.

    Token, state and request budget are those of the environment, and the same for all locations.
    """
    settings = load_settings(
        key_prefix=name,
        code_location=name,
        advertiser_ids=os.environ[f"{name.upper()}_ADVERTISER_IDS"],
        data_dir=f"{os.environ['TIKTOK_DATA_DIR']}/{name}",
    )
    own = build_definitions(settings)
    # A refresh waits for requests, not for processor cores: each run is one process of a worker.
    return dg.Definitions.merge(own, dg.Definitions(executor=dg.in_process_executor))
