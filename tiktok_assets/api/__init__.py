"""Read from and write to the TikTok Marketing API over HTTP; independent of Dagster."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
