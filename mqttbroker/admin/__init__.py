"""The admin server: the HTTP API, its description, and the pages of the console.

Nothing of it is imported by a broker that does not turn it on. ``endpoint.py`` says how an endpoint is made,
``app.py`` what a request goes through, ``server.py`` is the socket.
"""

__all__: list[str] = []
