"""Duplicate ads into scaling campaigns: approval, validation, request payloads, ledger, execution and results."""
