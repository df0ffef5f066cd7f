"""Tests of examples/browser in a real browser."""
