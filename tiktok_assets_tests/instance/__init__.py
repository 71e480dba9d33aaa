"""Tests of the instance: where it lives and how it is made."""
