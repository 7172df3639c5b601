"""Parsed and validated documents, kept by their text."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import DocumentNode, GraphQLError, NameNode, OperationDefinitionNode, SelectionSetNode, parse
from graphql import OperationType as OperationKind
from graphql import validate as find_errors
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule
from strawberry.types.graphql import OperationType

from app.transport.errors import Code, coded, with_code
from app.transport.shared import SharedAnswers, variables_below_root
from schema.costs import Price, Pricing, too_expensive
from schema.limits import QueryLimits, too_large

STRAWBERRYS_RULES = (MaybeNullValidationRule, OneOfInputValidationRule)
"""What strawberry adds to the rules it is given."""

MOST_ERRORS = 5
"""Errors of validation that one answer tells. Each that says "did you mean …?" takes milliseconds to find."""


@dataclass(slots=True)
class Document:
    """A document that was parsed, and the rules that it is known to keep."""

    node: DocumentNode
    operations: list[OperationDefinitionNode]
    valid_by: tuple[Any, ...] | None = None
    prices: dict[str | None, Price] = field(default_factory=dict[str | None, Price])
    """What each operation costs, by its name; filled when it is first asked for."""
    variables_below_root: dict[str | None, frozenset[str]] = field(
        default_factory=dict[str | None, frozenset[str]]
    )
    """What the answers of a subscription may depend on, by its name; filled likewise."""

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """The operation of that name, or the first one."""
        for operation in self.operations:
            if name is None or (operation.name and operation.name.value == name):
                return operation
        return None


class Documents:
    """The documents used last, bounded in number and in characters.

    Give ``documents.extension`` to ``strawberry.Schema(extensions=[…])``. Rules for cost and limits join by
    ``AddValidationRules``; build them once, because a document is validated again whenever the rules are
    other objects than before.

    Only what is valid stays, so that nonsense can't push out what clients really ask. What the events of
    subscriptions came to is kept here too, because who asks in the same words gets the same.
    """

    def __init__(
        self,
        *,
        max_documents: int = 500,
        max_characters: int = 256 * 1024,
        max_tokens: int | None = 2000,
        max_length: int = 100_000,
        limits: QueryLimits | None = None,
    ) -> None:
        """Make an empty cache.

        Args:
            max_documents: Documents that are kept.
            max_characters: Of all kept texts together. A parsed document takes about 100 bytes per
                character of its text.
            max_tokens: Longer documents are refused while they are parsed.
            max_length: Longer documents, in characters, are not even parsed.
            limits: How much a document and an operation may ask for.
        """
        self.limits = limits or QueryLimits()
        self.answers = SharedAnswers()
        self.max_length = max_length
        self._kept: OrderedDict[str, Document] = OrderedDict()
        self._characters = 0
        self._max_documents = max_documents
        self._max_characters = max_characters
        self.max_tokens = max_tokens

    def __len__(self) -> int:
        return len(self._kept)

    def extension(self) -> "DocumentsExtension":
        """A new extension for one operation, as strawberry wants it."""
        return DocumentsExtension(self)

    def parse(self, text: str) -> Document:
        """Parse, or remember.

        Raises:
            GraphQLError: with a code.
        """
        document = self._kept.get(text)
        if document is not None:
            self._kept.move_to_end(text)
            return document
        if len(text) > self.max_length:
            raise coded(Code.DOCUMENT_TOO_LONG, f"Write at most {self.max_length:,} characters.")
        try:
            node = parse(text, max_tokens=self.max_tokens)
        except GraphQLError as error:
            raise with_code(error, _code_of(error)) from None
        operations = [part for part in node.definitions if isinstance(part, OperationDefinitionNode)]
        return Document(node, operations)

    def validate(
        self, text: str, document: Document, schema: Any, rules: tuple[Any, ...]
    ) -> list[GraphQLError]:
        """Errors with their codes, none when it is valid. What is too large is refused before it is read."""
        if document.valid_by == rules:
            return []
        if too_much := too_large(document.node, self.limits):
            return [with_code(error, Code.GRAPHQL_VALIDATION_FAILED) for error in too_much]
        try:
            errors = find_errors(schema, document.node, (*rules, *STRAWBERRYS_RULES), max_errors=MOST_ERRORS)
        except RecursionError:
            return [coded(Code.TOO_DEEP, "This is nested too deeply to be checked.")]
        if errors:
            self._drop(text)
            return [with_code(error, Code.GRAPHQL_VALIDATION_FAILED) for error in errors]
        document.valid_by = rules
        self._keep(text, document)
        return []

    def cost(self, document: Document, schema: Any, name: str | None, variables: Mapping[str, Any]) -> int:
        """What one operation of a valid document costs with these variables."""
        if name not in document.prices:
            operation = document.operation(name)
            if operation is None:
                return 0  # execution tells that there is no such operation
            document.prices[name] = Pricing(schema, document.node, self.limits).of(operation)
        return document.prices[name].of(variables)

    def variables_below_root(self, text: str, name: str | None) -> frozenset[str]:
        """Of a valid subscription, the variables that more depends on than which events it gets."""
        document = self.parse(text)
        if name not in document.variables_below_root:
            operation = document.operation(name)
            found = variables_below_root(document.node, operation) if operation else frozenset[str]()
            document.variables_below_root[name] = found
        return document.variables_below_root[name]

    def operation_type(self, text: str, name: str | None) -> OperationType | None:
        """What would be executed; None when the text or the name is wrong, which execution then tells."""
        try:
            operation = self.parse(text).operation(name)
        except GraphQLError:
            return None
        return OperationType(operation.operation.value) if operation else None

    def _keep(self, text: str, document: Document) -> None:
        if text not in self._kept:
            self._characters += len(text)
        self._kept[text] = document
        while len(self._kept) > self._max_documents or self._characters > self._max_characters:
            oldest, _ = self._kept.popitem(last=False)
            self._characters -= len(oldest)

    def _drop(self, text: str) -> None:
        if self._kept.pop(text, None) is not None:
            self._characters -= len(text)


class DocumentsExtension(SchemaExtension):
    """Hands kept documents to strawberry's own life cycle."""

    def __init__(self, documents: Documents) -> None:
        self.documents = documents
        self._document: Document | None = None
        self._cost: int | None = None

    def on_parse(self) -> Iterator[None]:
        """Fill in the document, and refuse to guess between several operations."""
        context = self.execution_context
        name = context._provided_operation_name  # pyright: ignore[reportPrivateUsage]
        try:
            document = self._document = self.documents.parse(context.query or "")
        except GraphQLError as refusal:
            # An exception here would end a whole socket; and without a document strawberry would parse by
            # itself what must not be parsed. So it gets one that nothing reads, and the refusal with it.
            context.graphql_document = _stand_in(name)
            context.pre_execution_errors = [refusal]
            yield
            return
        context.graphql_document = document.node
        if len(document.operations) > 1 and name is None:
            # strawberry would run the first one.
            context.pre_execution_errors = [
                coded(
                    Code.OPERATION_RESOLUTION_FAILURE,
                    "The document has several operations: say which one by `operationName`.",
                )
            ]
        yield

    def on_validate(self) -> Iterator[None]:
        """Validate, or remember that it was; then see what it costs."""
        context, document = self.execution_context, self._document
        if context.pre_execution_errors is None and document is not None:
            schema: Any = context.schema._schema  # pyright: ignore[reportPrivateUsage]
            errors = self.documents.validate(context.query or "", document, schema, context.validation_rules)
            if not errors:
                name = context._provided_operation_name  # pyright: ignore[reportPrivateUsage]
                self._cost = self.documents.cost(document, schema, name, context.variables or {})
                errors = too_expensive(self._cost, self.documents.limits)
            context.pre_execution_errors = errors
        yield

    def get_results(self) -> dict[str, Any]:
        """The price goes out with the answer, so that clients can see it coming; not with every event."""
        is_stream = self._document is not None and self._is_subscription(self._document)
        return {} if self._cost is None or is_stream else {"cost": self._cost}

    def _is_subscription(self, document: Document) -> bool:
        name = self.execution_context._provided_operation_name  # pyright: ignore[reportPrivateUsage]
        operation = document.operation(name)
        return operation is not None and operation.operation is OperationKind.SUBSCRIPTION


def documents_in(extensions: Iterable[SchemaExtension]) -> Documents:
    """The documents of a schema with these extensions.

    Raises:
        TypeError
    """
    for extension in extensions:
        if isinstance(extension, DocumentsExtension):
            return extension.documents
    raise TypeError("the schema keeps no documents: give it extensions=[Documents().extension]")


def _code_of(error: GraphQLError) -> Code:
    """The parser's limits have no type of their own."""
    if "tokens. Parsing aborted" in error.message:
        return Code.TOO_MANY_TOKENS
    return Code.TOO_DEEP if "nested too deeply" in error.message else Code.GRAPHQL_PARSE_FAILED


def _stand_in(name: str | None) -> DocumentNode:
    """A document with the operation that was asked for, and nothing in it."""
    operation = OperationDefinitionNode(
        operation=OperationKind.QUERY,
        name=NameNode(value=name) if name is not None else None,
        selection_set=SelectionSetNode(selections=()),
    )
    return DocumentNode(definitions=(operation,))
