"""The gateway's OpenAPI description, served at /openapi.json: paths, the fields that it reads itself, and the form of errors.

Fields that go to the model's server as they are aren't described here: they are that server's.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from outthink.gateway.choice import MOST_SAMPLES
from outthink.gateway.choosing import PROGRESS
from outthink.gateway.messages import AUTHORS, MOST

_TEXT, _NUMBER, _TRUTH, _TABLE = {"type": "string"}, {"type": "number"}, {"type": "boolean"}, {"type": "object"}
_WHOLE, _LIST = {"type": "integer", "minimum": 1}, {"type": "array", "items": {"type": "object"}}
_PARTS = {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["type"], "properties": {"type": _TEXT}}}
_STOP = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "maxItems": 64}]}
_OUTTHINK = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "strategy": {**_TEXT, "examples": ["majority:16"]},
        "n": {**_WHOLE, "maximum": MOST_SAMPLES},
        "budget": {"anyOf": [_TEXT, {**_WHOLE, "maximum": MOST_SAMPLES}], "examples": ["20k tokens, 30s"]},
        "parameters": _TABLE,
        "task": _TEXT,
        "verifier": _TEXT,
        "progress": {"enum": list(PROGRESS)},
        "record": _TRUTH,
    },
}
_COMMON = {
    "model": {**_TEXT, "description": "NAME, or NAME@STRATEGY"},
    "stream": _TRUTH,
    "temperature": {**_NUMBER, "minimum": 0, "maximum": 10},
    "top_p": _NUMBER,
    "outthink": _OUTTHINK,
}
_SAMPLED = {"n": {**_WHOLE, "maximum": 128}, "max_tokens": _WHOLE, "stop": _STOP, "seed": {"type": "integer"}}
_MESSAGE = {
    "type": "object",
    "anyOf": [
        {
            "required": ["role"],
            "properties": {"role": {"const": "assistant"}, "content": {"anyOf": [_TEXT, _PARTS, {"type": "null"}]}},
        },
        {
            "required": ["role", "content"],
            "properties": {"role": {"enum": sorted(AUTHORS - {"assistant"})}, "content": {"anyOf": [_TEXT, _PARTS]}},
        },
    ],
}
_BODIES: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "/chat/completions": (
        "Answer a conversation",
        ["model", "messages"],
        {
            **_COMMON,
            **_SAMPLED,
            "messages": {"type": "array", "items": _MESSAGE, "minItems": 1, "maxItems": MOST},
            "stream_options": _TABLE,
            "tools": _LIST,
            "response_format": _TABLE,
            "logprobs": _TRUTH,
        },
    ),
    "/completions": (
        "Go on with a text",
        ["model", "prompt"],
        {**_COMMON, **_SAMPLED, "prompt": _TEXT, "best_of": {**_WHOLE, "maximum": 128}, "echo": _TRUTH},
    ),
    "/responses": (
        "Answer a conversation, in the form of OpenAI's Responses",
        ["model", "input"],
        {**_COMMON, "input": {"anyOf": [_TEXT, _LIST]}, "instructions": _TEXT, "max_output_tokens": _WHOLE, "tools": _LIST},
    ),
}
_FAULT = {"$ref": "#/components/responses/Error"}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": _TEXT,
                "type": _TEXT,
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        },
        "usage": _TABLE,
    },
}


def description() -> dict[str, Any]:
    """The document, in OpenAPI 3.1."""
    paths: dict[str, Any] = {}
    for path, (summary, required, properties) in _BODIES.items():
        paths[f"/v1{path}"] = {"post": _posted(summary, required, properties)}
        strategy = [{"name": "strategy", "in": "path", "required": True, "schema": _TEXT}]
        paths[f"/v1/{{strategy}}{path}"] = {
            "post": {**_posted(f"{summary}, by a strategy", required, properties), "parameters": strategy}
        }
    named = [{"name": "name", "in": "path", "required": True, "schema": _TEXT}]
    paths["/v1/models"] = {"get": _got("The models that this key may ask for")}
    paths["/v1/models/{name}"] = {"get": {**_got("One model"), "parameters": named}}
    paths["/health"] = {"get": {**_got("Whether the process lives"), "security": []}}
    paths["/ready"] = {"get": {**_got("Whether requests should be sent here"), "security": []}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Outthink", "version": version("outthink")},
        "paths": paths,
        "security": [{"key": []}, {}],
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": _ERROR},
            "responses": {"Error": _json("An error in OpenAI's form", {"$ref": "#/components/schemas/Error"})},
        },
    }


def _json(words: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": schema}}}


def _got(summary: str) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": _json("It", _TABLE), "503": _json("Not now", _TABLE), "default": _FAULT}}


def _posted(summary: str, required: list[str], properties: dict[str, Any]) -> dict[str, Any]:
    answer = _json("The answer", _TABLE)
    answer["content"]["text/event-stream"] = {}
    body = {"type": "object", "required": required, "properties": properties}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"200": answer, "default": _FAULT},
    }
