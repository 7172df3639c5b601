"""MAFRA, Seoul and food safety, which speak nearly the same language."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tests.simulators.faults import Fault
from tests.simulators.wire import Answer, as_html, as_json, as_xml

if TYPE_CHECKING:
    from tests.simulators.app import Simulator

STANDARD = "Grid_20141221000000000120_1"
CURRENT = "Grid_20240626000000000668_1"
ORIGINAL = "Grid_20151207000000000328_1"
STORES = "LOCALDATA_082501"
PRICES = "ListNecessariesPricesService"
RECALLS = "C005"

MOST_ROWS = 1_000
MOST_SAMPLE_ROWS = 5

MESSAGES = {
    "INFO-000": "정상 처리되었습니다.",
    "INFO-100": "인증키가 유효하지 않습니다.",
    "INFO-200": "해당하는 데이터가 없습니다.",
    "INFO-300": "유효 호출건수를 이미 초과하셨습니다.",
    "INFO-400": "권한이 없습니다.",
    "ERROR-300": "필수 값이 누락되어 있습니다.",
    "ERROR-301": "파일타입 값이 누락 혹은 유효하지 않습니다.",
    "ERROR-310": "해당하는 서비스를 찾을 수 없습니다.",
    "ERROR-331": "요청시작위치 값을 확인하십시오.",
    "ERROR-332": "요청종료위치 값을 확인하십시오.",
    "ERROR-333": "요청위치 값의 타입이 유효하지 않습니다.",
    "ERROR-334": "요청종료위치 보다 요청시작위치가 더 큽니다.",
    "ERROR-335": "샘플데이터(샘플키:sample) 는 한번에 최대 5건을 넘을 수 없습니다.",
    "ERROR-336": "데이터요청은 한번에 최대 1000건을 넘을 수 없습니다.",
    "ERROR-350": "일별 트래픽 제한을 넘은 호출입니다.",
    "ERROR-500": "서버 오류입니다.",
    "ERROR-503": "서비스 이용시간이 아닙니다. (09시~19시)",
}


def mafra(simulator: "Simulator", parts: Sequence[str], fault: Fault | None) -> Answer:
    """`/openapi/KEY/TYPE/GRID/START/END`: errors come without the grid."""
    key, kind, grid, *span = (*parts, "", "", "", "", "")[:5]

    def refused(code: str) -> Answer:
        value = {"result": {"code": code, "message": MESSAGES[code]}}
        in_xml = kind == "xml" or (code == "INFO-100" and simulator.bad_keys_in_xml)
        return as_xml(value) if in_xml else as_json(value)

    code = _refusal(simulator, key, kind, grid, span, simulator.mafra)
    if code is not None:
        return refused(code)
    first, last = int(span[0]), int(span[1])
    total, rows = _rows(simulator, simulator.mafra, grid, first, last, fault)
    if fault is Fault.EMPTY or (not rows and simulator.says_no_data):
        return refused("INFO-200")
    value: dict[str, Any] = {
        grid: {
            "totalCnt": total,
            "startRow": first,
            "endRow": last,
            "result": {"code": "INFO-000", "message": MESSAGES["INFO-000"]},
            # One row alone is no list.
            "row": rows[0] if len(rows) == 1 else rows,
        }
    }
    return as_xml(value) if kind == "xml" else as_json(value)


def seoul(simulator: "Simulator", parts: Sequence[str], fault: Fault | None) -> Answer:
    """`/KEY/json/SERVICE/S/E/…`: a bad key is told in XML, no data without the service."""
    key, kind, service, *span = (*parts, "", "", "", "", "")[:5]
    code = _refusal(simulator, key, kind, service, span, simulator.seoul)
    if code == "INFO-100":
        message = f"<![CDATA[{MESSAGES[code]}]]>"
        text = f"<RESULT><CODE>{code}</CODE><MESSAGE>{message}</MESSAGE></RESULT>"
        return Answer(text.encode(), content_type="application/xml;charset=UTF-8")
    first, last = (1, 0) if code else (int(span[0]), int(span[1]))
    total, rows = (0, []) if code else _rows(simulator, simulator.seoul, service, first, last, fault)
    if code or not rows or fault is Fault.EMPTY:
        code = code or "INFO-200"
        return as_json({"RESULT": {"CODE": code, "MESSAGE": MESSAGES[code]}})
    result = {"CODE": "INFO-000", "MESSAGE": MESSAGES["INFO-000"].rstrip(".")}
    return as_json({service: {"list_total_count": total, "RESULT": result, "row": rows}})


def food_safety(simulator: "Simulator", parts: Sequence[str], fault: Fault | None) -> Answer:
    """`/api/KEY/SERVICE/json/S/E`: the count is text, and a bad key is told in HTML."""
    key, service, kind, *span = (*parts, "", "", "", "", "")[:5]
    if key not in simulator.keys:
        return as_html(f"<script>alert('{MESSAGES['INFO-100']}'); history.back();</script>")
    code = _refusal(simulator, key, kind, service, span, simulator.food_safety)
    code = {"ERROR-350": "INFO-300"}.get(code or "", code)
    code = "ERROR-503" if simulator.is_closed else code
    first, last = (1, 0) if code else (int(span[0]), int(span[1]))
    total, rows = (0, []) if code else _rows(simulator, simulator.food_safety, service, first, last, fault)
    if not code and (not rows or fault is Fault.EMPTY):
        code, total = "INFO-200", 0
    result = {"MSG": MESSAGES[code or "INFO-000"], "CODE": code or "INFO-000"}
    value: dict[str, Any] = {"total_count": str(total), "RESULT": result}
    return as_json({service: {**value, "row": rows} if not code else value})


def _refusal(
    simulator: "Simulator", key: str, kind: str, name: str, span: Sequence[str], tables: dict[str, Any]
) -> str | None:
    if not key or not kind or not name or not all(span) or len(span) < 2:
        return "ERROR-300"
    if key not in simulator.keys and key != "sample":
        return "INFO-100"
    if kind not in {"json", "xml"}:
        return "ERROR-301"
    if name not in tables:
        return "ERROR-310"
    if not all(text.lstrip("-").isdecimal() for text in span):
        return "ERROR-333"
    first, last = int(span[0]), int(span[1])
    for code, is_wrong in (
        ("ERROR-331", first < 1),
        ("ERROR-332", last < 1),
        ("ERROR-334", first > last),
        ("ERROR-335", key == "sample" and last - first >= MOST_SAMPLE_ROWS),
        ("ERROR-336", last - first >= MOST_ROWS),
        ("ERROR-350", simulator.is_spent),
    ):
        if is_wrong:
            return code
    return None


def _rows(
    simulator: "Simulator", tables: dict[str, Any], name: str, first: int, last: int, fault: Fault | None
) -> tuple[int, list[dict[str, Any]]]:
    rows = tables[name].between(first, last)
    total = tables[name].count + (fault is Fault.WRONG_TOTAL)
    return total, rows[:-1] if fault is Fault.SHORT else rows
