"""Tests that are worked out from tables and from whole packets: many cases in each test, so that they stay quick."""
