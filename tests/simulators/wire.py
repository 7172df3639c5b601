"""A call and its answer, as the simulators see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from xml.sax.saxutils import escape

import orjson

Element = Mapping[str, Any] | Sequence[Any] | str | int | float | None


@dataclass(frozen=True)
class Answer:
    """What goes back."""

    body: bytes
    status: int = 200
    content_type: str = "application/json;charset=UTF-8"


def as_json(value: Element, status: int = 200) -> Answer:
    """In JSON."""
    return Answer(orjson.dumps(value), status)


def as_xml(value: Mapping[str, Element], status: int = 200) -> Answer:
    """In XML: of a list, an element for each."""
    text = '<?xml version="1.0" encoding="UTF-8"?>\n' + _elements(value)
    return Answer(text.encode(), status, "application/xml;charset=UTF-8")


def as_html(text: str, status: int = 200) -> Answer:
    """In HTML."""
    return Answer(text.encode(), status, "text/html;charset=UTF-8")


def _elements(value: Mapping[str, Any]) -> str:
    parts: list[str] = []
    for name, content in value.items():
        several = cast(list[Any], content) if isinstance(content, list) else [content]
        parts += [f"<{name}>{_inner(each)}</{name}>" for each in several]
    return "".join(parts)


def _inner(content: Any) -> str:
    if isinstance(content, Mapping):
        return _elements(cast(Mapping[str, Any], content))
    return escape("" if content is None else str(content))
