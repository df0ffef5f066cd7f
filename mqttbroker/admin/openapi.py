"""The description of the API in OpenAPI 3.1, made from the endpoints and their types."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from mqttbroker import __version__
from mqttbroker.admin.endpoint import Endpoint
from mqttbroker.admin.login import COOKIE
from mqttbroker.admin.problems import PROBLEM_TYPE, ProblemBody

__all__ = ["describe"]

_TEMPLATE = "#/components/schemas/{name}"


def describe(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The whole document, as plain values."""
    listed = list(endpoints)
    kinds = [ProblemBody, *(kind for each in listed for kind in (each.body, each.returns) if _is_described(kind))]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_TEMPLATE)
    by_kind = dict(zip(map(_identity, kinds), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for each in listed:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, by_kind)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mqttbroker",
            "version": __version__,
            "description": "What an MQTT broker does, and what can be done with it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(each.tag for each in listed)],
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": COOKIE,
                    "description": "Given by a login. Changes need the header X-CSRF-Token as well.",
                },
            },
            "responses": {
                "Problem": {
                    "description": "It was not done.",
                    "content": {PROBLEM_TYPE: {"schema": by_kind[_identity(ProblemBody)]}},
                }
            },
        },
    }


def _operation(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint)],
        "responses": {str(endpoint.status): _success(endpoint, schemas), "default": _problem()},
    }
    if endpoint.description:
        operation["description"] = endpoint.description
    if endpoint.body is not None:
        content = {"application/json": {"schema": schemas[_identity(endpoint.body)]}}
        operation["requestBody"] = {"required": True, "content": content}
    if endpoint.role is None:
        operation["security"] = []
    else:
        operation["x-role"] = endpoint.role
    return operation


def _success(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    if endpoint.status == 204:
        return {"description": "It was done."}
    schema = schemas[_identity(endpoint.returns)] if _is_described(endpoint.returns) else {"type": "string"}
    if endpoint.media_type == "application/json" and not _is_described(endpoint.returns):
        schema = {"type": "object"}
    return {"description": "It was done.", "content": {endpoint.media_type: {"schema": schema}}}


def _problem() -> dict[str, str]:
    return {"$ref": "#/components/responses/Problem"}


def _path_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)\}", endpoint.path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    """The fields of the query's type, each as a parameter with its schema in full."""
    if endpoint.query is None:
        return []
    schema = msgspec.json.schema(endpoint.query, ref_template=_TEMPLATE)
    table = schema["$defs"][endpoint.query.__name__] if "$defs" in schema else schema
    required = set(table.get("required", ()))
    parameters = []
    for name, its_schema in table["properties"].items():
        parameter: dict[str, Any] = {"name": name, "in": "query", "required": name in required, "schema": its_schema}
        if "description" in its_schema:
            parameter["description"] = its_schema.pop("description")
        parameters.append(parameter)
    return parameters


def _is_described(kind: Any) -> bool:
    """Whether a type is one that msgspec writes, and no response as it stands."""
    return kind is not None and not (isinstance(kind, type) and kind.__module__.startswith("starlette."))


def _identity(kind: Any) -> str:
    return repr(kind)
