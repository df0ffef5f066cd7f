"""What the API says of itself, and the page that a browser is shown."""

from __future__ import annotations

from typing import Any

from starlette.responses import HTMLResponse

from mqttbroker import __version__
from mqttbroker.admin.endpoint import PREFIX, Call, endpoint

__all__ = ["openapi", "page"]

_PAGE = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>mqttbroker</title>
<h1>mqttbroker {__version__}</h1>
<p>The broker is running. Its HTTP API is at <code>{PREFIX}</code>, and described at
<a href="{PREFIX}/openapi.json"><code>{PREFIX}/openapi.json</code></a>, after a login:</p>
<pre>curl -c cookies -H 'Content-Type: application/json' \\
     -d '{{"name": "admin", "password": "..."}}' http://127.0.0.1:8080{PREFIX}/login
curl -b cookies http://127.0.0.1:8080{PREFIX}/broker</pre>
<p>The password of <code>admin</code> was shown when the broker was started for the first time.</p>
</html>
"""


@endpoint("GET", "/", role=None, tag="pages", summary="The page for browsers", media_type="text/html")
async def page(call: Call[None, None]) -> HTMLResponse:
    return HTMLResponse(_PAGE)


@endpoint("GET", f"{PREFIX}/openapi.json", role="viewer", tag="description", summary="This description")
async def openapi(call: Call[None, None]) -> dict[str, Any]:
    """OpenAPI 3.1."""
    return call.context.description
