"""Tests of what each packet does."""
