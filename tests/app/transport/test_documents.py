from typing import Any

import pytest
import strawberry
from graphql import GraphQLError, ValidationRule, specified_rules
from strawberry.extensions import AddValidationRules

from app.transport import Documents, GraphQLEndpoint
from tests.app.transport.toy import Query, Toy, ToyContext, format_error


def make(documents: Documents, *extensions: Any) -> strawberry.Schema:
    return strawberry.Schema(Query, extensions=[*extensions, documents.extension])


async def test_a_document_is_parsed_and_validated_once():
    validations: list[str] = []

    class Noting(ValidationRule):
        def __init__(self, context: Any) -> None:
            super().__init__(context)
            validations.append("once")

    documents = Documents()
    schema = make(documents, lambda: AddValidationRules([Noting]))
    for _ in range(3):
        result = await schema.execute("{ hello }", context_value=ToyContext())
        assert result.data == {"hello": "hello world"}
    assert validations == ["once"]
    assert documents.parse("{ hello }") is documents.parse("{ hello }")


async def test_other_rules_validate_again():
    class Refusing(ValidationRule):
        def enter_document(self, *_: Any) -> None:
            self.report_error(GraphQLError("no", extensions={"code": "TOO_EXPENSIVE"}))

    documents = Documents()
    assert not (await make(documents).execute("{ hello }", context_value=ToyContext())).errors
    refused = await make(documents, lambda: AddValidationRules([Refusing])).execute("{ hello }")
    assert refused.errors is not None
    assert refused.errors[0].extensions == {"code": "TOO_EXPENSIVE"}
    assert len(documents) == 0


def test_what_is_kept_is_bounded_in_number_and_in_characters():
    schema: Any = make(Documents())._schema  # pyright: ignore[reportPrivateUsage]
    rules = tuple(specified_rules)
    few = Documents(max_documents=10)
    short = Documents(max_characters=1000)
    for documents in (few, short):
        for number in range(100):
            text = f'{{ hello(name: "{number:04}") }}'.ljust(100)
            assert not documents.validate(text, documents.parse(text), schema, rules)
        assert len(documents) == 10
        huge = "{ hello }".ljust(2000)
        documents.validate(huge, documents.parse(huge), schema, rules)
    assert len(few) == 10
    assert len(short) == 0, "a document over the bound pushes out all, itself last, and is not kept"


def test_nonsense_is_not_kept():
    documents = Documents()
    schema: Any = make(documents)._schema  # pyright: ignore[reportPrivateUsage]
    assert documents.validate("{ a }", documents.parse("{ a }"), schema, tuple(specified_rules))
    with pytest.raises(GraphQLError):
        documents.parse("{")
    assert len(documents) == 0


def test_a_schema_without_documents_is_refused_at_the_start():
    toy = Toy()
    with pytest.raises(TypeError, match="Documents"):
        GraphQLEndpoint(
            strawberry.Schema(Query),
            toy.make_context,
            toy.limits,
            format_error=format_error,
            now=lambda: pytest.fail("no clock is needed"),
        )
