"""Build alert messages, store them in the outbox, and deliver them to the configured channels."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
