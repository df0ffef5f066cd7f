"""Clients that others wrote, against the broker."""
