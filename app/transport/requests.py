"""From JSON to a GraphQL request, for every transport alike."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Self, cast

import orjson

from app.transport.errors import Malformed

PARAMETERS = ("query", "variables", "operationName", "extensions")


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """The parameters of the GraphQL-over-HTTP specification, which the socket shares."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: dict[str, Any] | None = None

    @classmethod
    def of(cls, value: object) -> Self:
        """Check the shape of decoded JSON; parameters that we don't know are ignored.

        Raises:
            Malformed
        """
        if isinstance(value, list):
            raise Malformed("Batching is off: send one request object, not a list.")
        if not isinstance(value, dict):
            raise Malformed('A request must be a JSON object like {"query": "{ __typename }"}.')
        parameters = cast(dict[str, Any], value)
        query = parameters.get("query")
        if not isinstance(query, str) or not query:
            raise Malformed("`query` must be a text with the GraphQL document.")
        operation_name = parameters.get("operationName")
        if operation_name is not None and not isinstance(operation_name, str):
            raise Malformed("`operationName` must be a text, or left out.")
        for name in ("variables", "extensions"):
            if not isinstance(parameters.get(name), dict | None):
                raise Malformed(f"`{name}` must be an object, or left out.")
        return cls(query, parameters.get("variables"), operation_name, parameters.get("extensions"))


def read_json(raw: bytes, max_depth: int, once: Collection[str] = ()) -> object:
    """Decode JSON from a stranger.

    orjson refuses what the standard library lets through: NaN, lone surrogates, numbers beyond a
    double (so 5,000-digit integers too), invalid UTF-8, more than 1,024 levels.

    Args:
        raw: The document.
        max_depth: Levels of nesting that are allowed; a flat object is one.
        once: Keys of the outermost object that may be there only once. JSON leaves open which of two
            values counts, and a guard in front of us might have read the other.

    Raises:
        Malformed
    """
    try:
        value: object = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"This is no valid JSON: {error.msg} (at {error.pos}).") from None
    if raw.count(b"{") + raw.count(b"[") > max_depth and _is_deeper(value, max_depth):
        raise Malformed(f"JSON may be nested {max_depth} levels deep.")
    if once and isinstance(value, dict):
        _refuse_repeated_keys(raw, once)
    return cast(object, value)


def _is_deeper(value: object, max_depth: int) -> bool:
    level: list[object] = [value]
    for _ in range(max_depth):
        level = [
            child
            for parent in level
            for child in cast(
                "Collection[object]",
                parent.values() if isinstance(parent, dict) else parent,  # pyright: ignore[reportUnknownMemberType]
            )
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _refuse_repeated_keys(raw: bytes, once: Collection[str]) -> None:
    # Decoding a second time is for the rare body where a name is seen twice or may hide in escapes.
    if b"\\u" not in raw and all(raw.count(b'"%b"' % name.encode()) < 2 for name in once):
        return
    pairs = cast(list[tuple[str, object]], json.loads(raw, object_pairs_hook=list, parse_int=float))
    names = [name for name, _ in pairs]
    for name in once:
        if names.count(name) > 1:
            raise Malformed(f"`{name}` may be there only once.")
