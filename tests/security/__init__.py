"""Tests of authentication and access rules."""
