"""Parsed and validated documents, kept by their text."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from graphql import DocumentNode, GraphQLError, OperationDefinitionNode, parse
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import validate_document
from strawberry.types.graphql import OperationType

from app.transport.errors import Code, coded, with_code


@dataclass(slots=True)
class Document:
    """A document that was parsed, and the rules that it is known to keep."""

    node: DocumentNode
    operations: list[OperationDefinitionNode]
    valid_by: tuple[Any, ...] | None = None


class Documents:
    """The documents used last, bounded in number and in characters.

    Give ``documents.extension`` to ``strawberry.Schema(extensions=[…])``. Rules for cost and limits join by
    ``AddValidationRules``; build them once, because a document is validated again whenever the rules are
    other objects than before.

    Only what is valid stays, so that nonsense can't push out what clients really ask.
    """

    def __init__(
        self, *, max_documents: int = 500, max_characters: int = 256 * 1024, max_tokens: int | None = 2000
    ) -> None:
        """Make an empty cache.

        Args:
            max_documents: Documents that are kept.
            max_characters: Of all kept texts together. A parsed document takes about 100 bytes per
                character of its text.
            max_tokens: Longer documents are refused while they are parsed.
        """
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
            GraphQLError: with code GRAPHQL_PARSE_FAILED.
        """
        document = self._kept.get(text)
        if document is not None:
            self._kept.move_to_end(text)
            return document
        try:
            node = parse(text, max_tokens=self.max_tokens)
        except GraphQLError as error:
            raise with_code(error, Code.GRAPHQL_PARSE_FAILED) from None
        operations = [part for part in node.definitions if isinstance(part, OperationDefinitionNode)]
        return Document(node, operations)

    def validate(
        self, text: str, document: Document, schema: Any, rules: tuple[Any, ...]
    ) -> list[GraphQLError]:
        """Errors with code GRAPHQL_VALIDATION_FAILED, none when it is valid."""
        if document.valid_by == rules:
            return []
        errors = validate_document(schema, document.node, rules)
        if errors:
            self._drop(text)
            return [with_code(error, Code.GRAPHQL_VALIDATION_FAILED) for error in errors]
        document.valid_by = rules
        self._keep(text, document)
        return []

    def operation_type(self, text: str, name: str | None) -> OperationType | None:
        """What would be executed; None when the text or the name is wrong, which execution then tells."""
        try:
            document = self.parse(text)
        except GraphQLError:
            return None
        for operation in document.operations:
            if name is None or (operation.name and operation.name.value == name):
                return OperationType(operation.operation.value)
        return None

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

    def on_parse(self) -> Iterator[None]:
        """Fill in the document, and refuse to guess between several operations."""
        context = self.execution_context
        try:
            document = self._document = self.documents.parse(context.query or "")
        except GraphQLError:
            # An exception here would end a whole socket. Left without a document strawberry parses
            # by itself, fails in the same place and reports it as it should.
            if self.documents.max_tokens is not None:
                context.parse_options["max_tokens"] = self.documents.max_tokens
            yield
            return
        context.graphql_document = document.node
        if len(document.operations) > 1 and context._provided_operation_name is None:  # pyright: ignore
            # strawberry would run the first one.
            context.pre_execution_errors = [
                coded(
                    Code.OPERATION_RESOLUTION_FAILURE,
                    "The document has several operations: say which one by `operationName`.",
                )
            ]
        yield

    def on_validate(self) -> Iterator[None]:
        """Validate, or remember that it was."""
        context = self.execution_context
        if context.pre_execution_errors is None and self._document is not None:
            context.pre_execution_errors = self.documents.validate(
                context.query or "",
                self._document,
                context.schema._schema,  # pyright: ignore[reportPrivateUsage]
                context.validation_rules,
            )
        yield
