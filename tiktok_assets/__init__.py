"""TikTok Ads reporting on Dagster."""

import lazy_loader

# Dagster is imported only when the component is used, because it takes seconds.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
