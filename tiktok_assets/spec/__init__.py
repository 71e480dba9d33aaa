"""Data only: the endpoints, entities, reports, metrics and error codes everything else is derived from."""
