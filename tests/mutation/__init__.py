"""Mutation testing: how much of a changed program the tests notice. Run by ``make mutation``, not by ``make test``."""
