"""Certificates: reading them, and the authority for development."""
