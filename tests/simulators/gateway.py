"""data.go.kr: the gateway before all of its services, and two of them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.simulators.faults import Fault
from tests.simulators.wire import Answer, as_json, as_xml

if TYPE_CHECKING:
    from tests.simulators.app import Simulator

SURVEY = "/B551919/ProductPriceInfoService/"
LARGE_STORES = "/1741000/large_scale_retail_stores/info"

REASONS = {
    "04": ("HTTP ERROR", "HTTP_ERROR"),
    "12": ("SERVICE ERROR", "NO_OPENAPI_SERVICE_ERROR"),
    "20": ("SERVICE ERROR", "SERVICE_ACCESS_DENIED_ERROR"),
    "22": ("SERVICE ERROR", "LIMITED_NUMBER_OF_SERVICE_REQUESTS_EXCEEDS_ERROR"),
    "30": ("SERVICE ERROR", "SERVICE_KEY_IS_NOT_REGISTERED_ERROR"),
    "31": ("SERVICE ERROR", "DEADLINE_HAS_EXPIRED_ERROR"),
}

CODES = {
    "AL": [
        {"code": "030100000", "codeName": "가공식품", "highCode": "030000000"},
        {"code": "030101001", "codeName": "두부", "highCode": "030100000"},
    ],
    "UT": [{"code": "G", "codeName": "g", "highCode": ""}, {"code": "EA", "codeName": "개", "highCode": ""}],
    "AR": [{"code": "020100000", "codeName": "서울특별시", "highCode": ""}],
    "BU": [{"code": "LM", "codeName": "대형마트", "highCode": ""}],
}


def data_go_kr(simulator: "Simulator", path: str, query: Mapping[str, str], fault: Fault | None) -> Answer:
    """A service behind the gateway."""
    key = query.get("serviceKey", "")
    if not key:
        return _refused("20", 401)
    if key not in simulator.keys:
        return _refused("30", 403)
    if simulator.is_expired:
        return _refused("31", 200)
    if simulator.is_spent:
        return _refused("22", 200)
    if path == LARGE_STORES:
        return _large_stores(simulator, query, fault)
    if path.startswith(SURVEY):
        return _survey(simulator, path.removeprefix(SURVEY), query, fault)
    return _refused("12", 400)


def _refused(code: str, status: int, *, in_json: bool = False) -> Answer:
    message, reason = REASONS[code]
    value = {
        "OpenAPI_ServiceResponse": {
            "cmmMsgHeader": {"errMsg": message, "returnAuthMsg": reason, "returnReasonCode": code}
        }
    }
    return as_json(value, status) if in_json else as_xml(value, status)


def _survey(simulator: "Simulator", operation: str, query: Mapping[str, str], fault: Fault | None) -> Answer:
    """XML only, every value text, no pages."""
    if query.get("_type") == "json":
        return _refused("04", 200, in_json=True)
    if operation == "getStandardInfoSvc.do":
        name, rows = "iros.openapi.service.vo.stdInfoVO", CODES.get(query.get("classCode", ""), [])
    elif operation in simulator.survey:
        name = "item" if "Product" in operation else "iros.openapi.service.vo.entpInfoVO"
        table = simulator.survey[operation]
        rows = table.between(1, table.count)
    else:
        return _refused("12", 400)
    rows = rows[:-1] if fault is Fault.SHORT else [] if fault is Fault.EMPTY else rows
    header = _header(simulator)
    # The code is in the header, or where the header would be.
    inner: dict[str, Any] = {"header": header} if simulator.is_wrapped else dict(header)
    return as_xml({"response": inner | ({"result": {name: rows}} if header["resultCode"] == "00" else {})})


def _large_stores(simulator: "Simulator", query: Mapping[str, str], fault: Fault | None) -> Answer:
    """Pages; one row is no list, and none is an empty text."""
    if simulator.service_code not in {"00", "0"}:
        value: dict[str, Any] = {"header": _header(simulator)}
        return as_json({"response": value} if simulator.is_wrapped else value)
    page, size = int(query.get("pageNo", "1")), min(int(query.get("numOfRows", "10")), 100)
    table = simulator.large_stores
    rows = table.between((page - 1) * size + 1, page * size)
    rows = rows[:-1] if fault is Fault.SHORT else [] if fault is Fault.EMPTY else rows
    item: Any = rows[0] if len(rows) == 1 else rows
    body = {
        "items": {"item": item} if rows else "",
        "pageNo": page,
        "numOfRows": size,
        "totalCount": 0 if fault is Fault.EMPTY else table.count + (fault is Fault.WRONG_TOTAL),
    }
    value = {"header": _header(simulator), "body": body}
    return as_json({"response": value} if simulator.is_wrapped else value)


def _header(simulator: "Simulator") -> dict[str, str]:
    code = simulator.service_code
    return {"resultCode": code, "resultMsg": "NORMAL SERVICE." if code in {"00", "0"} else "SERVICE ERROR"}
