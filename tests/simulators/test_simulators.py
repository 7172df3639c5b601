import os
import subprocess
import sys

import httpx
import pytest

from app.settings import ROOT
from tests.simulators import faults, grids
from tests.simulators.app import KEY, Simulator
from tests.simulators.asking import asking
from tests.simulators.faults import Fault

HTML = "<script>alert('인증키가 유효하지 않습니다.'); history.back();</script>"


def test_the_simulators_run_by_themselves():
    command = [sys.executable, "-m", "tests.simulators", "--port", "0", "--rows", "3"]
    told = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--latency-ms" in told.stdout
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().split()[1]
            answer = httpx.get(f"{url}/sample/json/{grids.STANDARD}/1/5", trust_env=False, timeout=10)
        finally:
            process.terminate()
    assert answer.json()[grids.STANDARD]["totalCnt"] == 3


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        (f"/openapi/sample/xml/{grids.STANDARD}/1/2", 200, "<totalCnt>2590</totalCnt>"),
        (f"/openapi/sample/yaml/{grids.STANDARD}/1/2", 200, "ERROR-301"),
        ("/openapi/sample/json/Grid_0/1/2", 200, "ERROR-310"),
        (f"/openapi/sample/json/{grids.STANDARD}/a/2", 200, "ERROR-333"),
        (f"/openapi/sample/json/{grids.STANDARD}", 200, "ERROR-300"),
        (f"/openapi/sample/json/{grids.STANDARD}/1/6", 200, "ERROR-335"),
        (f"/sample/json/{grids.PRICES}/1/1", 200, '"M_SEQ":1.0'),
        ("/api/wrong/C005/json/1/5", 200, HTML),
        ("/api/KEY/C005/json/1/5", 200, '{"C005":{"total_count":"0","RESULT":'),
        ("/1741000/large_scale_retail_stores/info", 401, "<returnReasonCode>20<"),
        ("/1741000/large_scale_retail_stores/info?serviceKey=wrong", 403, "<returnReasonCode>30<"),
        ("/1741000/other?serviceKey=KEY", 400, "<returnReasonCode>12<"),
        (
            "/B551919/ProductPriceInfoService/getStoreInfoSvc.do?serviceKey=KEY&_type=json",
            200,
            '"returnReasonCode":"04"',
        ),
        ("/B551919/ProductPriceInfoService/getStandardInfoSvc.do?serviceKey=KEY&classCode=UT", 200, "EA"),
    ],
)
async def test_an_answer_is_as_it_was_seen_on_the_wire(path: str, status: int, text: str):
    simulator = Simulator(keys={"KEY"})
    async with asking(simulator) as client:
        answer = await client.get(simulator.url + path)
    assert answer.status_code == status
    assert text in answer.text


async def test_calls_wait_and_are_counted():
    simulator = Simulator(latency_s=0.05, keys={KEY})
    async with asking(simulator) as client:
        answer = await client.get(f"{simulator.url}/openapi/sample/json/{grids.STANDARD}/1/1")
    assert answer.elapsed.total_seconds() >= 0.05
    assert (simulator.counts.total(), simulator.most_at_once) == (1, 1)


def test_a_plan_says_which_calls_go_wrong():
    once = faults.once_each(Fault.DROP)
    assert [once(call) for call in "aba"] == [Fault.DROP, Fault.DROP, None]
    some = faults.now_and_then(Fault.DROP, 0.5, seed=1)
    assert {some(str(number)) for number in range(20)} == {Fault.DROP, None}
