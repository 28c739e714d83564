r"""JSON as regular expressions, for `constrained.Constraint`: of a schema, or any JSON of a few levels.

    schema = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}
    assert re.fullmatch(json_pattern(schema), '{"name": "Ana", "age": 34}')

What they match, json.loads takes (RFC 8259): no half character such as \ud83d alone, and numbers that fit a float.
"""
import json
import re
from numbers import Integral

from helpers.checks import require

CHARACTER = r'(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u(?:[0-9a-ce-fA-CE-F][0-9a-fA-F]|[dD][0-7])[0-9a-fA-F]{2}))'
STRING, INTEGER = f'"{CHARACTER}*"', "-?(?:0|[1-9][0-9]{0,14})"
NUMBER = rf"{INTEGER}(?:\.[0-9]{{1,15}})?(?:[eE][+-]?[0-9]{{1,2}})?"
SIMPLE = {"string": STRING, "integer": INTEGER, "number": NUMBER, "boolean": "(?:true|false)", "null": "null"}
KEYWORDS = {"object": ["properties"], "array": ["items", "minItems", "maxItems"], "string": ["maxLength"],
            "integer": [], "number": [], "boolean": [], "null": []}
DEEPEST = 2                 # levels of any JSON: each takes four times the states of those within


def json_pattern(schema: dict) -> str:
    """The regular expression of the JSON texts that fit a schema, all of which json.loads takes.

    It knows these words of JSON Schema, of which maxLength, minItems and maxItems can be left out:
    {"type": "object", "properties": {name: schema, ...}}, which has all of these, in this order, and no others;
    {"type": "array", "items": schema, "minItems": 1, "maxItems": 3};
    {"type": "string", "maxLength": 20}, in characters;
    {"type": "integer"}, of at most 15 digits; {"type": "number"}, with as many decimals, and two digits of an exponent;
    {"type": "boolean"}; {"type": "null"};
    {"enum": [value, ...]}, with or without a type that all of them fit, and written as json.dumps does.
    One space can follow each colon and comma. Raises ValueError for all else.
    """
    require(isinstance(schema, dict), f"schema is {schema!r:.60}; give a dict, such as {{'type': 'integer'}}.")
    kind = schema.get("type")
    require(kind in list(KEYWORDS) or "type" not in schema and "enum" in schema,    # a type can be unhashable
            f"schema {schema!r:.60} has the type {kind!r}; give one of {', '.join(KEYWORDS)}, or an enum.")
    known = ["type", "enum", *KEYWORDS.get(kind, [])]
    for word in schema:
        require(word in known, f"schema {schema!r:.60} has the keyword {word!r}; its type takes {', '.join(known)}.")
    if "enum" in schema:
        return one_of(schema)
    if kind == "object":
        properties = schema.get("properties")
        require(isinstance(properties, dict) and all(isinstance(name, str) for name in properties),
                f"schema {schema!r:.60} has the properties {properties!r:.60}; give a dict of names and their schemas.")
        members = [f"{re.escape(as_json(name))}: ?{json_pattern(value)}" for name, value in properties.items()]
        return rf"\{{{', ?'.join(members)}\}}"
    if kind == "array":
        require("items" in schema, f"schema {schema!r:.60} has no items; give the schema that each of them fits.")
        items = listed(json_pattern(schema["items"]), count(schema, "minItems") or 0, count(schema, "maxItems"))
        return rf"\[{items}\]"
    longest = count(schema, "maxLength")
    return SIMPLE[kind] if longest is None else f'"{CHARACTER}{{0,{longest}}}"'


def any_json(depth: int) -> str:
    """The regular expression of any JSON text with objects and arrays at most `depth` deep; details as in json_pattern.

    depth: 0 for a string, a number, true, false or null alone. Raises ValueError for a depth that is not 0, 1 or 2.
    """
    require(isinstance(depth, Integral) and 0 <= depth <= DEEPEST,
            f"depth is {depth!r}; give a whole number from 0 to {DEEPEST}, as each takes four times the states.")
    simple = f"{STRING}|{NUMBER}|true|false|null"
    value = f"(?:{simple})"
    for _ in range(depth):
        value = rf"(?:{simple}|\[{listed(value)}\]|\{{{listed(f'{STRING}: ?{value}')}\}})"
    return value


def one_of(schema: dict) -> str:
    """The values of an enum, which must fit a type beside it."""
    values = schema["enum"]
    require(isinstance(values, (list, tuple)) and len(values) > 0, f"enum is {values!r:.60}; give a list of values.")
    texts = [as_json(value) for value in values]
    if "type" in schema:
        fitting = json_pattern({word: schema[word] for word in schema if word != "enum"})
        for text in texts:
            require(re.fullmatch(fitting, text) is not None,
                    f"enum holds {text:.60}, which does not fit the rest of its schema; take it out.")
    return f"(?:{'|'.join(map(re.escape, texts))})"


def as_json(value: object) -> str:
    """A value as json.dumps writes it. Raises ValueError for one that JSON does not have."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode("utf-8")                                                        # raises for half a character
    except (TypeError, ValueError) as error:
        raise ValueError(f"schema holds {value!r:.60}, which is no value of JSON: {error}.") from error
    return text


def listed(item: str, least: int = 0, most: int | None = None) -> str:
    """At least and at most so many of an item, with commas between them."""
    require(most is None or least <= most, f"maxItems is {most} and minItems {least}; give at least as many.")
    if most == 0:
        return ""
    further = f"(?:, ?{item}){{{max(least - 1, 0)},{'' if most is None else most - 1}}}"
    return f"{item}{further}" if least else f"(?:{item}{further})?"


def count(schema: dict, word: str) -> int | None:
    """A whole number of a schema, or None if it is left out."""
    number = schema.get(word)
    require(word not in schema or type(number) is int and number >= 0,
            f"{word} is {number!r}; give a whole number of at least 0.")
    return number
