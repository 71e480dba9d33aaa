"""Rank the ads of each campaign by spend, record leader changes, and flag new top spenders for duplication.

Imports `alerts` and `duplication`; neither imports this package.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
