"""Rank the ads of each campaign by spend, record leader changes, and flag new top spenders for duplication.

Imports `alerts` and `duplication`; neither imports this package.
"""
