"""What the API says of itself."""

from __future__ import annotations

from typing import Any

from mqttbroker.admin.endpoint import PREFIX, Call, endpoint

__all__ = ["openapi"]


@endpoint("GET", f"{PREFIX}/openapi.json", role="viewer", tag="description", summary="This description")
async def openapi(call: Call[None, None]) -> dict[str, Any]:
    """OpenAPI 3.1."""
    return call.context.description
