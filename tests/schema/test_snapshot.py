"""The schema as it is committed and reviewed, and the habits that it keeps."""

from collections.abc import Iterator

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    is_introspection_type,
    is_specified_scalar_type,
)

from app.cli import SCHEMA_FILE, schema_text
from models import errors
from schema.errors import HANDLERS, ErrorCode
from tests.api import graphql_schema

SCHEMA = graphql_schema()


def test_the_committed_schema_is_the_schema():
    committed = SCHEMA_FILE.read_text(encoding="utf-8")
    assert committed == schema_text(), "The schema has changed: run `make schema` and review the difference."


def elements() -> Iterator[tuple[str, str | None]]:
    """Everything that has a description: its path and its text."""
    for name, each in SCHEMA.type_map.items():
        if is_introspection_type(each) or is_specified_scalar_type(each):
            continue
        yield name, each.description
        if isinstance(each, GraphQLEnumType):
            yield from ((f"{name}.{value}", of.description) for value, of in each.values.items())
        elif isinstance(each, GraphQLInputObjectType):
            yield from ((f"{name}.{field}", of.description) for field, of in each.fields.items())
        elif isinstance(each, GraphQLObjectType | GraphQLInterfaceType):
            for field, of in each.fields.items():
                yield f"{name}.{field}", of.description
                yield from ((f"{name}.{field}({one}:)", arg.description) for one, arg in of.args.items())


ROOTS = {"Query", "Mutation", "Subscription"}


def test_every_element_is_described():
    assert [path for path, text in elements() if not text and path not in ROOTS] == []


def test_every_description_ends_as_a_sentence_does():
    assert [path for path, text in elements() if text and text.rstrip()[-1] not in ".…"] == []


def mutations() -> dict[str, tuple[list[tuple[str, str]], str]]:
    """The arguments and the answer of each."""
    root = SCHEMA.mutation_type
    assert root is not None
    return {
        name: ([(arg, str(of.type)) for arg, of in field.args.items()], str(field.type))
        for name, field in root.fields.items()
    }


@pytest.mark.parametrize("name", mutations())
def test_a_mutation_takes_one_input_and_answers_with_a_union_of_what_changed_and_refusals(name: str):
    title = name[0].upper() + name[1:]
    assert mutations()[name] == ([("input", f"{title}Input!")], f"{title}Result!")
    union = SCHEMA.get_type(f"{title}Result")
    assert isinstance(union, GraphQLUnionType)
    changed = [each.name for each in union.types if not implements(each, "Error")]
    assert len(changed) == 1
    assert len(union.types) > 1


def implements(each: GraphQLObjectType, interface: str) -> bool:
    return interface in {one.name for one in each.interfaces}


REFUSALS = errors.DomainError.__subclasses__()


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: error.__name__)
def test_every_error_of_the_domain_has_a_code_a_type_and_a_handler(error: type[errors.DomainError]):
    assert error.code() in ErrorCode.__members__
    declared = SCHEMA.get_type(error.__name__)
    assert isinstance(declared, GraphQLObjectType)
    assert implements(declared, "Error")
    (handler,) = [each for each in HANDLERS if each.exception_type is error]
    assert handler.error_type.__name__ == error.__name__


def test_every_code_and_every_refusal_has_an_error_behind_it():
    names = {error.__name__ for error in REFUSALS}
    assert set(ErrorCode.__members__) == {error.code() for error in REFUSALS}
    types = (each for each in SCHEMA.type_map.values() if isinstance(each, GraphQLObjectType))
    assert {each.name for each in types if implements(each, "Error")} == names


def test_lists_hold_no_nulls_and_are_never_null():
    for name, each in SCHEMA.type_map.items():
        if not isinstance(each, GraphQLObjectType) or is_introspection_type(each):
            continue
        for field, of in each.fields.items():
            written = str(of.type)
            assert "[" not in written or written.endswith("!]!"), f"{name}.{field}: {written}"


def test_no_field_shows_what_nobody_may_see():
    shown = {path.split(".")[-1].split("(")[0].lower() for path, _ in elements() if "Input." not in path}
    # The verb shows none: it takes the old one and the new one.
    shown -= {"changepassword", "changepasswordinput", "changepasswordresult"}
    assert not {field for field in shown if "password" in field or "hash" in field or field == "key"}
