"""Proxies that others wrote, between clients and the broker."""
