"""Each grammar on its own, by the texts that were seen on the wire. The sources have the rest."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from importers.envelopes import (
    BadKey,
    BadRequest,
    NoData,
    Page,
    QuotaExceeded,
    SourceError,
    UpstreamFailed,
    decode_gateway,
    decode_grid,
)

GRID = "Grid_20141221000000000120_1"
RICE = {"ROW_NUM": 1, "PRDLST_NM": "쌀", "SPCIES_CD": "010301", "SPCIES_NM": "일반미(쌀 일반)"}

SEOUL = "ListNecessariesPricesService"
APPLES = {"M_SEQ": 25.0, "A_NAME": "사과(부사, 300g)", "A_PRICE": "2000", "P_DATE": None}

GATEWAY = (
    "<OpenAPI_ServiceResponse><cmmMsgHeader><errMsg>SERVICE ERROR</errMsg>"
    "<returnAuthMsg>{}</returnAuthMsg><returnReasonCode>{}</returnReasonCode>"
    "</cmmMsgHeader></OpenAPI_ServiceResponse>"
)

decode_mafra = partial(decode_grid, name=GRID)
decode_seoul = partial(decode_grid, name=SEOUL)
decode_food = partial(decode_grid, name="C005")
decode_survey = partial(decode_gateway, is_paged=False)


def mafra(rows: Any, total: Any = 2590, code: str = "INFO-000") -> bytes:
    result = {"code": code, "message": "정상 처리되었습니다."}
    return orjson.dumps({GRID: {"totalCnt": total, "startRow": 1, "result": result, "row": rows}})


def seoul(rows: Any, total: Any = 284756) -> bytes:
    result = {"CODE": "INFO-000", "MESSAGE": "정상 처리되었습니다"}
    return orjson.dumps({SEOUL: {"list_total_count": total, "RESULT": result, "row": rows}})


def large(body: Any, code: str = "00", *, is_wrapped: bool = True) -> bytes:
    value = {"header": {"resultCode": code, "resultMsg": "NORMAL SERVICE."}}
    value |= {"body": body} if body is not None else {}
    return orjson.dumps({"response": value} if is_wrapped else value)


def refusal_of(decode: Callable[[int, bytes], Page], body: bytes, status: int = 200) -> SourceError:
    with pytest.raises(SourceError) as raised:
        decode(status, body)
    return raised.value


def test_a_page_of_mafra_has_rows_as_text_and_the_total():
    page = decode_mafra(200, mafra([RICE, RICE]))
    assert page.total == 2590
    assert page.rows[0] == {
        "ROW_NUM": "1",
        "PRDLST_NM": "쌀",
        "SPCIES_CD": "010301",
        "SPCIES_NM": "일반미(쌀 일반)",
    }


def test_one_row_may_come_alone_instead_of_in_a_list():
    assert decode_mafra(200, mafra(RICE, 1)).rows == decode_mafra(200, mafra([RICE], 1)).rows


def test_mafra_may_answer_in_xml():
    xml = (
        f"<{GRID}><totalCnt>2</totalCnt><result><code>INFO-000</code><message>ok</message></result>"
        "<row><PRDLST_NM>쌀</PRDLST_NM><SPCIES_NM/></row><row><PRDLST_NM>콩</PRDLST_NM></row>"
        f"</{GRID}>"
    ).encode()
    page = decode_mafra(200, xml)
    assert (page.total, [row["PRDLST_NM"] for row in page.rows]) == (2, ["쌀", "콩"])
    assert [row["SPCIES_NM"] for row in page.rows] == ["", ""]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("INFO-100", BadKey),
        ("INFO-200", NoData),
        *((f"ERROR-{n}", BadRequest) for n in (300, 301, 310, 331, 332, 333, 334, 335, 336, 340, 341, 342)),
        ("ERROR-350", QuotaExceeded),
        *((f"ERROR-{number}", UpstreamFailed) for number in (500, 600, 601)),
        ("ERROR-999", UpstreamFailed),
    ],
)
def test_each_code_of_mafra_has_its_error_in_json_and_in_xml(code: str, kind: type[SourceError]):
    in_json = orjson.dumps({"result": {"code": code, "message": "무엇"}})
    in_xml = f"<result><code>{code}</code><message>무엇</message></result>".encode()
    for body in (in_json, in_xml):
        error = refusal_of(decode_mafra, body)
        assert (type(error), error.code, error.words) == (kind, code, "무엇")


def test_only_what_may_pass_is_worth_another_try():
    kinds = (NoData, BadKey, QuotaExceeded, BadRequest, UpstreamFailed)
    assert [kind for kind in kinds if kind.is_retryable] == [UpstreamFailed]


def test_zero_rows_are_no_data_whether_by_code_or_by_total():
    assert isinstance(refusal_of(decode_mafra, mafra([], 0)), NoData)
    assert isinstance(refusal_of(decode_mafra, mafra(None, 0)), NoData)


def test_a_page_of_seoul_has_its_floats_as_whole_numbers_and_null_as_nothing():
    page = decode_seoul(200, seoul([APPLES]))
    assert page.total == 284756
    assert page.rows[0] == {"M_SEQ": "25", "A_NAME": "사과(부사, 300g)", "A_PRICE": "2000", "P_DATE": ""}


def test_seoul_tells_no_data_without_the_service_and_a_bad_key_in_xml():
    bare = orjson.dumps({"RESULT": {"CODE": "INFO-200", "MESSAGE": "해당하는 데이터가 없습니다."}})
    assert isinstance(refusal_of(decode_seoul, bare), NoData)
    xml = "<RESULT><CODE>INFO-100</CODE><MESSAGE><![CDATA[인증키가 유효하지 않습니다.]]></MESSAGE></RESULT>"
    error = refusal_of(decode_seoul, xml.encode())
    assert isinstance(error, BadKey)
    assert str(error) == "The key was refused (INFO-100): 인증키가 유효하지 않습니다."


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("INFO-200", NoData),
        ("INFO-300", QuotaExceeded),
        ("INFO-400", BadKey),
        ("ERROR-503", UpstreamFailed),
    ],
)
def test_food_safety_counts_in_text_and_tells_within_the_service(code: str, kind: type[SourceError]):
    body = orjson.dumps({"C005": {"total_count": "0", "RESULT": {"MSG": "없음", "CODE": code}}})
    error = refusal_of(decode_food, body)
    assert (type(error), error.words) == (kind, "없음")
    good = {"C005": {"total_count": "7", "RESULT": {"MSG": "", "CODE": "INFO-000"}, "row": [{"A": 1}]}}
    assert decode_food(200, orjson.dumps(good)).total == 7


def test_food_safety_tells_a_bad_key_in_html():
    body = "<script>alert('인증키가 유효하지 않습니다.'); history.back();</script>"
    error = refusal_of(decode_food, body.encode())
    assert isinstance(error, BadKey)
    assert error.words == "alert('인증키가 유효하지 않습니다.'); history.back();"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "30", BadKey),
        (401, "20", BadKey),
        (400, "12", BadRequest),
        (200, "22", QuotaExceeded),
        (200, "31", BadKey),
        (200, "04", UpstreamFailed),
        (500, "99", UpstreamFailed),
    ],
)
def test_the_gateway_tells_its_errors_in_xml_or_in_json(status: int, code: str, kind: type[SourceError]):
    header = {"errMsg": "SERVICE ERROR", "returnAuthMsg": "WHY", "returnReasonCode": code}
    in_json = orjson.dumps({"OpenAPI_ServiceResponse": {"cmmMsgHeader": header}})
    for body in (GATEWAY.format("WHY", code).encode(), in_json):
        error = refusal_of(decode_gateway, body, status)
        assert (type(error), error.code, error.words) == (kind, code, "WHY")


@pytest.mark.parametrize("code", ["00", "0"])
@pytest.mark.parametrize("is_wrapped", [True, False])
@pytest.mark.parametrize("items", [{"item": [RICE]}, {"item": RICE}, [RICE]])
def test_a_service_says_success_in_two_ways_and_wraps_or_not(code: str, is_wrapped: bool, items: Any):
    body = large({"items": items, "totalCount": 630}, code, is_wrapped=is_wrapped)
    page = decode_gateway(200, body)
    assert (page.total, [row["PRDLST_NM"] for row in page.rows]) == (630, ["쌀"])


def test_no_items_may_be_an_empty_text():
    assert isinstance(refusal_of(decode_gateway, large({"items": "", "totalCount": 0})), NoData)


@pytest.mark.parametrize(("code", "kind"), [("03", NoData), ("10", BadRequest), ("01", UpstreamFailed)])
def test_a_service_that_refuses_may_leave_out_the_body(code: str, kind: type[SourceError]):
    assert type(refusal_of(decode_gateway, large(None, code))) is kind


def test_a_paged_service_without_a_total_has_failed():
    assert isinstance(refusal_of(decode_gateway, large({"items": [RICE]})), UpstreamFailed)


@pytest.mark.parametrize("name", ["item", "iros.openapi.service.vo.entpInfoVO"])
@pytest.mark.parametrize("count", [1, 2])
def test_the_survey_has_no_total_and_its_rows_under_two_names(name: str, count: int):
    rows = f"<{name}><entpId>7</entpId></{name}>" * count
    head = "<header><resultCode>00</resultCode><resultMsg>OK</resultMsg></header>"
    xml = f"<?xml version='1.0' encoding='UTF-8'?><response>{head}<result>{rows}</result></response>"
    page = decode_survey(200, xml.encode())
    assert (page.total, [row["entpId"] for row in page.rows]) == (count, ["7"] * count)


def test_the_survey_without_rows_has_no_data_and_is_not_empty():
    xml = "<response><resultCode>00</resultCode><resultMsg>OK</resultMsg><result/></response>"
    assert isinstance(refusal_of(decode_survey, xml.encode()), NoData)


@pytest.mark.parametrize(
    "total",
    [None, "", "many", -1, 2.5, {}, "９", "9" * 5_000],
    ids=["none", "empty", "word", "below", "part", "object", "wide", "huge"],
)
def test_a_total_that_is_no_number_is_a_failure(total: Any):
    assert isinstance(refusal_of(decode_mafra, mafra([RICE], total)), UpstreamFailed)


def test_more_rows_than_there_are_in_all_is_a_failure():
    for total in (0, 1):
        assert isinstance(refusal_of(decode_mafra, mafra([RICE, RICE], total)), UpstreamFailed)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (502, b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>", UpstreamFailed),
        (429, b'{"message":"API rate limit exceeded"}', UpstreamFailed),
        (500, b'{"error":"Internal Server Error"}', UpstreamFailed),
        (404, b"<html><body>404 Not Found</body></html>", BadRequest),
        (403, b"Forbidden", BadKey),
        (302, b"", UpstreamFailed),
        (200, b"", UpstreamFailed),
        (200, b"[]", UpstreamFailed),
        (200, b'"text"', UpstreamFailed),
        (200, b'{"a":', UpstreamFailed),
        (200, b"\xff\xfe{}", UpstreamFailed),
        (200, b"<a><b></a>", UpstreamFailed),
        (200, b"[" * 100_000, UpstreamFailed),
        (200, b"<a>" * 10_000 + b"</a>" * 10_000, UpstreamFailed),
        (200, b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', UpstreamFailed),
    ],
)
@pytest.mark.parametrize("decode", [decode_mafra, decode_gateway], ids=["grid", "gateway"])
def test_an_answer_in_no_grammar_is_told_by_its_status(
    decode: Callable[[int, bytes], Page], status: int, body: bytes, kind: type[SourceError]
):
    error = refusal_of(decode, body, status)
    assert type(error) is kind
    assert len(error.words) <= 200


def test_a_good_answer_with_a_bad_status_is_not_taken():
    assert isinstance(refusal_of(decode_mafra, mafra([RICE]), 500), UpstreamFailed)
    assert isinstance(
        refusal_of(decode_gateway, large({"items": [RICE], "totalCount": 1}), 500), UpstreamFailed
    )


def test_every_cut_of_an_answer_is_a_failure():
    for whole, decode in ((mafra([RICE, RICE]), decode_mafra), (GATEWAY.encode(), decode_gateway)):
        assert {type(refusal_of(decode, whole[:length])) for length in range(len(whole))} == {UpstreamFailed}


words = st.text(max_size=3) | st.sampled_from(
    [
        *("result", "RESULT", "code", "CODE", "row", "totalCnt", GRID),
        *("response", "header", "body", "items", "item", "resultCode", "totalCount"),
        *("OpenAPI_ServiceResponse", "cmmMsgHeader", "returnReasonCode"),
    ]
)
value = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@given(value=value)
def test_whatever_comes_is_a_page_or_a_source_error(value: Any):
    for decode in (decode_mafra, decode_gateway, decode_survey):
        with suppress(SourceError):
            assert decode(200, orjson.dumps(value)).total > 0
