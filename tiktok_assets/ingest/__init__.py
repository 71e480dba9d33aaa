"""Read TikTok Ads data from the API and write it to the stored tables, without Dagster."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
