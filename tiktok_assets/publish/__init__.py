"""Publish the stored tables to databases and lakes, and compare them with what stands there."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
