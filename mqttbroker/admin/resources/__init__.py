"""The endpoints of the HTTP API: one module for each kind of thing that can be asked about or changed."""

__all__: list[str] = []
