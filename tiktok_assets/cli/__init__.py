"""The command line interface `tiktok-assets`: one module for each command.

Only `app` and `main` are exported here. Each command imports its module when it runs, so that start-up stays fast.
"""

from tiktok_assets.cli.commands import app, main

__all__ = ["app", "main"]
