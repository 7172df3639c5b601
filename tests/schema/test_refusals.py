"""Every refusal of every union, over HTTP, in both languages."""

import re

import pytest
from graphql import GraphQLUnionType

from models.errors import DomainError
from tests.api import Api, graphql_schema
from tests.schema import (
    refusals_of_parties,  # noqa: F401  # pyright: ignore[reportUnusedImport]
    refusals_of_penalties,  # noqa: F401  # pyright: ignore[reportUnusedImport]
    refusals_of_people,  # noqa: F401  # pyright: ignore[reportUnusedImport]
    refusals_of_talk,  # noqa: F401  # pyright: ignore[reportUnusedImport]
)
from tests.schema.scenes import ACCOUNT, CASES, Scene, nothing

HANGUL = re.compile("[가-힣]")

DATA = {
    "AlreadyDecided": "membership { id status }",
    "AlreadyJoined": "membership { id status party { id } }",
    "AlreadyObjected": "objection { id text penalty { id } }",
    "AlreadyPenalized": "penalty { id reason user { nickname } }",
    "AlreadyRevoked": "penalty { id revokedAt revokeReason }",
    "AttendanceFixed": "since",
    "InvalidInput": "field",
    "NicknameTaken": "nickname",
    "NotEnoughUnits": "quantity unitsLeft",
    "NotFound": "kind id",
    "NotPenalizable": "reason",
    "ObjectionDecided": "objection { id decision reason decidedBy { nickname } }",
    "ObjectionTooLate": "until",
    "OpenObligations": "parties { id status }",
    "TooManyAttempts": "retryAfterSeconds",
    "PartyClosed": "status joinBy",
    "PartyFull": "capacity",
    "PartyNotDone": "status",
    "TooEarly": "since",
    "TooLate": "until",
    "TooManyPenalties": "penaltyCount until",
}
"""What a refusal says beyond its code and message."""


@pytest.mark.parametrize(("mutation", "refusal"), CASES, ids=["-".join(each) for each in CASES])
async def test_a_refusal_has_its_code_its_data_and_a_sentence_in_the_language_of_the_person(
    shared_api: Api, mutation: str, refusal: str
):
    scene = Scene(shared_api, await shared_api.neighbour(), await shared_api.neighbour())
    person, input = await CASES[mutation, refusal](scene)
    fields = f"... on {refusal} {{ {DATA[refusal]} }}" if refusal in DATA else ""
    english = await person.do(mutation, fields, **input)
    assert english["__typename"] == refusal, english
    assert english["code"] == error_named(refusal).code()
    assert english["message"].endswith(".")
    assert not HANGUL.search(english["message"].replace(str(input.get("nickname", "")).strip(), ""))
    korean = await person.speaking("ko").do(mutation, fields, **input)
    assert HANGUL.search(korean["message"])
    assert korean | {"message": ""} == english | {"message": ""}


def test_every_refusal_of_every_union_is_among_these():
    schema = graphql_schema()
    mutations = schema.mutation_type
    assert mutations is not None
    expected: set[tuple[str, str]] = set()
    for name, field in mutations.fields.items():
        union = schema.get_type(str(field.type).rstrip("!"))
        assert isinstance(union, GraphQLUnionType)
        refusals = [each for each in union.types if any(one.name == "Error" for one in each.interfaces)]
        expected |= {(name, refusal.name) for refusal in refusals}
    assert CASES.keys() == expected


def error_named(name: str) -> type[DomainError]:
    return next(error for error in DomainError.__subclasses__() if error.__name__ == name)


async def test_an_id_in_a_refusal_is_the_one_that_was_given(shared_api: Api):
    person, missing = await shared_api.neighbour(), nothing("Party")
    refused = await person.do("joinParty", "... on NotFound { kind id }", partyId=missing)
    assert (refused["kind"], refused["id"]) == ("party", missing)


async def test_an_account_without_a_point_is_asked_for_one(shared_api: Api):
    account = ACCOUNT | {"email": "new@example.com", "nickname": "새이웃"}
    del account["point"]
    refused = await shared_api.anybody.do("signUp", "... on InvalidInput { field }", **account)
    assert (refused["code"], refused["field"]) == ("INVALID_INPUT", "point")


async def test_a_client_can_not_choose_its_role(shared_api: Api):
    account = ACCOUNT | {"email": "boss@example.com", "nickname": "대장", "role": "ADMIN"}
    query = "mutation($input: SignUpInput!) { signUp(input: $input) { __typename } }"
    assert (await shared_api.anybody.fails(query, input=account))["code"] == "BAD_USER_INPUT"
