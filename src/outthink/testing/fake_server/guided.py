"""Guided decoding of the fake server: texts that match a JSON schema or a regular expression. Covers what tests ask for:
types, enum, const, required properties, arrays; literals, classes, groups, alternatives, repeats."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from random import Random
from re import _parser as parser  # type: ignore[attr-defined]  # the only parser of regular expressions we have at hand
from typing import Any

_BOXED = re.compile(r"\\boxed\{(\w+)\}")
_CATEGORIES = {"CATEGORY_DIGIT": "0123456789", "CATEGORY_WORD": "abcxyz019_", "CATEGORY_SPACE": " "}


def guided_text(body: Mapping[str, Any], text: str, draw: int) -> str:
    """`text`, or what stands for it under the guide in a request's body: an answer in a box goes into the first place."""
    found = _BOXED.search(text)
    answer = found[1] if found else "0"
    format_ = body.get("response_format") or {}
    pattern = body.get("guided_regex") or (body.get("structured_outputs") or {}).get("regex")
    if pattern:
        return answer if re.fullmatch(pattern, answer) else "".join(_match(parser.parse(pattern), Random(draw)))
    if format_.get("type") == "json_schema":
        return json.dumps(_value(format_["json_schema"].get("schema", {}), answer))
    return json.dumps({"answer": answer}) if format_.get("type") == "json_object" else text


def _value(schema: Mapping[str, Any], answer: str) -> Any:
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return answer if answer in schema["enum"] else schema["enum"][0]
    number = int(answer) if answer.isdigit() else 0
    match schema.get("type"):
        case "object":
            return {name: _value(part, answer) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [_value(schema.get("items", {}), answer)] * max(1, schema.get("minItems", 1))
        case "integer" | "number":
            return max(schema.get("minimum", number), min(schema.get("maximum", number), number))
        case "boolean":
            return number % 2 == 0
        case "null":
            return None
    return answer


def _match(parsed: Any, random: Random) -> Iterator[str]:
    for kind, argument in parsed:
        match str(kind):
            case "LITERAL":
                yield chr(argument)
            case "ANY" | "NOT_LITERAL":
                yield "x" if argument != ord("x") else "y"
            case "IN":
                yield random.choice(_members(argument))
            case "MAX_REPEAT" | "MIN_REPEAT":
                low, high, inner = argument
                for _ in range(random.randint(low, max(low, min(int(high), low + 3)))):
                    yield from _match(inner, random)
            case "SUBPATTERN":
                yield from _match(argument[-1], random)
            case "BRANCH":
                yield from _match(random.choice(argument[1]), random)


def _members(items: Any) -> str:
    members = ""
    negated = False
    for kind, argument in items:
        match str(kind):
            case "NEGATE":
                negated = True
            case "LITERAL":
                members += chr(argument)
            case "RANGE":
                members += "".join(map(chr, range(argument[0], argument[1] + 1)))
            case "CATEGORY":
                members += _CATEGORIES.get(str(argument), "x")
    return "".join(chr(code) for code in range(33, 127) if chr(code) not in members) if negated else members
