"""Tests of the tables of creatives."""
