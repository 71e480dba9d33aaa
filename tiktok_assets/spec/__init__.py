"""Data only: the endpoints, entities, reports, metrics and error codes of the API."""
