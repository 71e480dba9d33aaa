"""Serve Dagster's webserver and the pages of this package behind a guard against other web sites."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
