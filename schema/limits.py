"""How large a document may be, known before anything of it is validated.

A short text can name the same fragment many times over and so stand for millions of fields. Each selection
set of the text is therefore measured once and remembered: time grows with the length of the document, never
with what it stands for. Counts stop at a ceiling, so that they stay small numbers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

CEILING: Final = 1_000_000
"""Counts stop here."""


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """How much one document, and one operation of it, may ask for."""

    max_operations: int = 5
    max_depth: int = 15
    max_aliases: int = 30
    max_directives: int = 50
    max_root_fields: int = 30
    #: Fields and fragments of the document, with every fragment written out wherever it is named.
    max_fields: int = 5_000
    #: Pairs of fields that stand in one place: `{a a a}` has three; and pairs of fragments that do.
    #: Validation compares each pair.
    max_repeats: int = 3_000
    max_cost: int = 5_000
    #: Rows that a list without an argument for its length is taken to have.
    assumed_rows: int = 10
    #: Rows that a page has where nothing says how many.
    page_rows: int = 20
    #: The same for lists of the schema itself, so low that what tools ask of it at their start passes.
    introspection_rows: int = 3


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a selection set stands for, its fragments included."""

    depth: int = 0
    fields: int = 0
    all_fields: int = 0
    aliases: int = 0
    directives: int = 0

    def beside(self, other: "_Shape") -> "_Shape":
        return _Shape(
            max(self.depth, other.depth),
            min(CEILING, self.fields + other.fields),
            min(CEILING, self.all_fields + other.all_fields),
            min(CEILING, self.aliases + other.aliases),
            min(CEILING, self.directives + other.directives),
        )


class _Cycle(Exception):
    """A fragment stands within itself, so that nothing about it can be counted."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class _Shapes:
    """Measures selection sets, each once."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._measured: dict[str, _Shape] = {}
        self._within: set[str] = set()
        #: How many selections were looked at: the time that measuring takes.
        self.visits = 0

    def of(self, selections: SelectionSetNode | None) -> _Shape:
        """What the set stands for.

        Raises:
            _Cycle
        """
        shape = _Shape()
        for selection in selections.selections if selections else ():
            shape = shape.beside(self._selection(selection))
        return shape

    def roots(self) -> Iterator[tuple[SelectionSetNode, _Shape]]:
        """The fragments that nothing measured so far has named: validation reads them all the same.

        Raises:
            _Cycle
        """
        for name, fragment in self._fragments.items():
            if name not in self._measured:
                yield fragment.selection_set, replace(self._fragment(name), fields=0)

    def _selection(self, selection: Any) -> _Shape:
        self.visits += 1
        own = _Shape(all_fields=1, directives=len(selection.directives or ()))
        match selection:
            case FieldNode():
                below = self.of(selection.selection_set)
                aliases = below.aliases + (selection.alias is not None)
                return own.beside(_Shape(below.depth + 1, 1, below.all_fields, aliases, below.directives))
            case InlineFragmentNode():
                return own.beside(self.of(selection.selection_set))
            case FragmentSpreadNode():
                return own.beside(self._fragment(selection.name.value))
            case _:
                return own

    def _fragment(self, name: str) -> _Shape:
        if name in self._within:
            raise _Cycle(name)
        if name not in self._measured:
            self._within.add(name)
            fragment = self._fragments.get(name)
            self._measured[name] = self.of(fragment.selection_set) if fragment else _Shape()
            self._within.remove(name)
        return self._measured[name]


class _Places:
    """Merges fields as validation merges them, to count the pairs that it compares."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments

    def repeats(self, sets: list[SelectionSetNode]) -> int:
        """Pairs of fields, and of fragments, that stand in the same place once everything is merged.

        Looks at every field wherever it is named: bound `all_fields` first, and have no cycles.
        """
        fields: dict[str, list[FieldNode]] = {}
        fragments: set[str] = set()
        for selections in sets:
            self._collect(selections, fields, fragments)
        pairs = _pairs(len(fragments))
        for nodes in fields.values():
            pairs += _pairs(len(nodes))
            below = [node.selection_set for node in nodes if node.selection_set]
            if below:
                pairs += self.repeats(below)
        return pairs

    def _collect(
        self, selections: SelectionSetNode, fields: dict[str, list[FieldNode]], fragments: set[str]
    ) -> None:
        for selection in selections.selections:
            match selection:
                case FieldNode():
                    name = selection.alias or selection.name
                    fields.setdefault(name.value, []).append(selection)
                case InlineFragmentNode():
                    self._collect(selection.selection_set, fields, fragments)
                case FragmentSpreadNode() if fragment := self._fragments.get(selection.name.value):
                    fragments.add(selection.name.value)
                    self._collect(fragment.selection_set, fields, fragments)
                case _:
                    pass


def too_large(document: DocumentNode, limits: QueryLimits) -> list[GraphQLError]:
    """Why the document is refused before it is validated; empty when it is not."""
    try:
        return _too_large(document, limits)
    except _Cycle as cycle:
        return [GraphQLError(f"Cannot spread fragment '{cycle.name}' within itself.")]
    except RecursionError:
        # Hundreds of fragments within each other, perhaps without a field between them.
        return [_refusal("TOO_DEEP", "levels of fragments", CEILING, limits.max_depth)]


def _too_large(document: DocumentNode, limits: QueryLimits) -> list[GraphQLError]:
    operations = [part for part in document.definitions if isinstance(part, OperationDefinitionNode)]
    if (count := len(operations)) > limits.max_operations:
        return [_refusal("TOO_MANY_OPERATIONS", "operations in a document", count, limits.max_operations)]
    fragments = fragments_of(document)
    shapes, places = _Shapes(fragments), _Places(fragments)
    measured = [(each.selection_set, shapes.of(each.selection_set)) for each in operations]
    measured += shapes.roots()
    # Beside selections they can stand before each operation, each of its variables and each fragment.
    loose = sum(map(_own_directives, document.definitions))
    fields = sum(shape.all_fields for _, shape in measured)
    for _, shape in measured:
        for code, what, count, most in (
            ("TOO_DEEP", "levels of fields", shape.depth, limits.max_depth),
            ("TOO_MANY_ROOT_FIELDS", "fields at the root", shape.fields, limits.max_root_fields),
            ("TOO_MANY_ALIASES", "aliases", shape.aliases, limits.max_aliases),
            ("TOO_MANY_DIRECTIVES", "directives", shape.directives + loose, limits.max_directives),
            ("TOO_MANY_FIELDS", "fields", fields, limits.max_fields),
        ):
            if count > most:
                return [_refusal(code, what, count, most)]
    repeats = sum(places.repeats([selections]) for selections, _ in measured)
    if repeats > limits.max_repeats:
        return [_refusal("TOO_MANY_REPEATS", "pairs of repeated fields", repeats, limits.max_repeats)]
    return []


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """The fragments of a document by their names."""
    return {
        part.name.value: part for part in document.definitions if isinstance(part, FragmentDefinitionNode)
    }


def _own_directives(part: Any) -> int:
    variables = getattr(part, "variable_definitions", None) or ()
    return len(part.directives or ()) + sum(len(each.directives or ()) for each in variables)


def _pairs(count: int) -> int:
    return count * (count - 1) // 2


def _refusal(code: str, what: str, count: int, most: int) -> GraphQLError:
    asked = f"{CEILING:,} or more" if count >= CEILING else f"{count:,}"
    return GraphQLError(
        f"This asks for {asked} {what}; {most:,} are allowed. Ask for less, or in several requests.",
        extensions={"code": code, "limit": most},
    )
