"""What an operation costs, known before it is executed: one for each field, and lists times their rows.

A fragment's price is found once and worked out once, so that time grows with the length of the document.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SchemaMetaFieldDef,
    SelectionSetNode,
    TypeMetaFieldDef,
    ValueNode,
    VariableNode,
    get_named_type,
)
from graphql.type import (
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
)

from schema.limits import CEILING, QueryLimits, fragments_of

INTROSPECTION: Final = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows a list has: a number, or what a variable says, or a default where it says nothing."""

    count: int
    variable: str | None = None
    #: What is asked for beside it: the larger one counts.
    other: "Rows | None" = None

    def of(self, variables: Mapping[str, Any]) -> int:
        """The number with these variables; what is no number, or negative, is refused elsewhere."""
        given = variables.get(self.variable) if self.variable else None
        # 100.0 is an Int for GraphQL.
        count = int(given) if isinstance(given, int | float) else self.count
        return min(CEILING, max(0, count, self.other.of(variables) if self.other else 0))


@dataclass(eq=False, slots=True)
class Price:
    """What a selection set costs.

    `parts` are the sets within it, each with the rows that multiply it. A fragment's price is one object
    wherever it is named, and is worked out once for each operation.
    """

    fixed: int
    parts: list[tuple[Rows, "Price"]]

    def of(self, variables: Mapping[str, Any]) -> int:
        """The cost with these variables, at most 1,000,000."""
        return self._of(variables, {})

    def _of(self, variables: Mapping[str, Any], known: dict[int, int]) -> int:
        if id(self) not in known:
            total = self.fixed
            for rows, price in self.parts:
                total = min(CEILING, total + rows.of(variables) * price._of(variables, known))
            known[id(self)] = total
        return known[id(self)]


ONCE: Final = Rows(1)


class Pricing:
    """Finds the price of one operation of a valid document."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, limits: QueryLimits) -> None:
        self._schema = schema
        self._limits = limits
        self._fragments = fragments_of(document)
        self._known: dict[tuple[str, Rows | None], Price] = {}
        self._defaults: dict[str, int] = {}

    def of(self, operation: OperationDefinitionNode) -> Price:
        """The price of the operation."""
        self._known.clear()
        self._defaults = {
            each.variable.name.value: int(each.default_value.value)
            for each in operation.variable_definitions or ()
            if isinstance(each.default_value, IntValueNode)
        }
        return self._set(operation.selection_set, self._schema.get_root_type(operation.operation), None)

    def _set(self, selections: SelectionSetNode, parent: GraphQLNamedType | None, page: Rows | None) -> Price:
        price = Price(0, [])
        for selection in selections.selections:
            match selection:
                case FieldNode():
                    price.fixed += 1
                    self._field(price, selection, parent, page)
                case InlineFragmentNode():
                    of_type = selection.type_condition
                    inner = self._schema.get_type(of_type.name.value) if of_type else parent
                    price.parts.append((ONCE, self._set(selection.selection_set, inner, page)))
                case FragmentSpreadNode():
                    price.parts.append((ONCE, self._fragment(selection.name.value, page)))
                case _:
                    pass
        return price

    def _fragment(self, name: str, page: Rows | None) -> Price:
        if (name, page) not in self._known:
            fragment = self._fragments[name]
            of_type = self._schema.get_type(fragment.type_condition.name.value)
            self._known[name, page] = self._set(fragment.selection_set, of_type, page)
        return self._known[name, page]

    def _field(
        self, price: Price, node: FieldNode, parent: GraphQLNamedType | None, page: Rows | None
    ) -> None:
        if node.selection_set is None or not isinstance(parent, GraphQLObjectType | GraphQLInterfaceType):
            return
        name = node.name.value
        field = parent.fields.get(name) or INTROSPECTION[name]
        asked = self._asked(node, field)
        field_type: Any = cast(Any, field).type
        inner = cast("GraphQLNamedType", cast(Any, get_named_type)(field_type))
        if isinstance(field_type, GraphQLNonNull):
            field_type = cast(Any, field_type).of_type
        if isinstance(field_type, GraphQLList):
            rows = asked or page or self._assumed(inner)
            price.parts.append((rows, self._set(node.selection_set, inner, None)))
        else:
            # A connection: its rows are those of the list within it.
            price.parts.append((ONCE, self._set(node.selection_set, inner, asked)))

    def _assumed(self, inner: GraphQLNamedType) -> Rows:
        is_introspection = inner.name.startswith("__")
        return Rows(self._limits.introspection_rows if is_introspection else self._limits.assumed_rows)

    def _asked(self, node: FieldNode, field: GraphQLField) -> Rows | None:
        """How many rows the arguments ask for; None where there is no argument for it."""
        arguments = {name: field.args[name].default_value for name in ("first", "last") if name in field.args}
        given = {each.name.value: each.value for each in node.arguments or ()}
        # Of two, those that are given count, and without either the one that has a default.
        asked = [name for name in arguments if name in given] or sorted(
            arguments, key=lambda name: not isinstance(arguments[name], int)
        )[:1]
        rows: Rows | None = None
        for name in asked:
            default = arguments[name]
            count = default if isinstance(default, int) else self._limits.page_rows
            rows = replace(self._rows(given.get(name), count), other=rows)
        return rows

    def _rows(self, given: ValueNode | None, count: int) -> Rows:
        match given:
            case IntValueNode(value=number):
                return Rows(int(number))
            case VariableNode() as value:
                variable = value.name.value
                return Rows(self._defaults.get(variable, count), variable)
            case _:
                return Rows(count)


def too_expensive(cost: int, limits: QueryLimits) -> list[GraphQLError]:
    """Why an operation of that cost is refused; empty when it is not."""
    if cost <= limits.max_cost:
        return []
    asked = f"{CEILING:,} or more" if cost >= CEILING else f"{cost:,}"
    message = f"This costs {asked}; {limits.max_cost:,} is allowed. Ask for smaller pages or fewer fields."
    return [
        GraphQLError(message, extensions={"code": "TOO_EXPENSIVE", "limit": limits.max_cost, "cost": cost})
    ]
