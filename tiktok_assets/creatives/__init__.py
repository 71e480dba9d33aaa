"""Sum the reports of ads by creative: by video, post or images, over all the ads that use them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
