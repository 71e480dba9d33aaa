"""A real HTTP server that imitates the TikTok Marketing API over a generated world.

A request travels through four packages, and imports run in the same order only: `world` (what is true: entities,
delivery, metrics) < `http` (parameters, errors, rate limits, faults) < `reads` (lists and reports) < `writes`
(creates and updates) < `routes`, `server` and `running`, which assemble the server.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
