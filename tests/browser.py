"""A real Chromium for tests, driven by its own DevTools protocol.

async with browser() as page:
    await page.goto(url)
    await page.until("document.querySelector('h1')")
"""

import asyncio
import base64
import itertools
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

CHROMIUM: Final = next(
    filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None
)
FLAGS: Final = [
    "--headless",
    "--no-sandbox",  # which doesn't work for root; the pages are our own
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",  # 64 MB in most containers
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # the network is cut
    "--remote-debugging-port=0",
]

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on the PATH")


class PageError(Exception):
    """JavaScript threw, or the browser refused a command."""


class Page:
    """One tab, and everything that it asked for or complained about."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        self._session: str | None = None
        self.requests: list[str] = []
        """Addresses asked for over HTTP and WebSocket, in order."""
        self.complaints: list[str] = []
        """Errors and warnings of the console: exceptions, failed requests, breaches of the content policy."""

    async def open(self, language: str, width: int, height: int) -> None:
        """Make the tab."""
        target = await self.send("Target.createTarget", url="about:blank")
        attached = await self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            await self.send(f"{domain}.enable")
        agent = (await self.evaluate("navigator.userAgent")).replace("Headless", "")
        await self.send("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=language)
        await self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def goto(self, url: str, within_s: float = 20.0) -> None:
        """Load a page, up to its load event."""
        self._loaded.clear()
        answer = await self.send("Page.navigate", url=url)
        if "errorText" in answer:
            raise PageError(f"{url}: {answer['errorText']}")
        async with asyncio.timeout(within_s):
            await self._loaded.wait()

    async def evaluate(self, script: str) -> Any:
        """The value of an expression, awaited; it counts as something that the person did."""
        answer = await self.send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    async def until(self, script: str, within_s: float = 10.0) -> Any:
        """The first value of the expression that is true; says what the page shows when none comes."""
        value_or_true = f"(value => value?.nodeType ? true : value)({script})"  # elements can't be sent
        try:
            async with asyncio.timeout(within_s):
                while not (value := await self.evaluate(value_or_true)):  # noqa: ASYNC110 — it is in the browser
                    await asyncio.sleep(0.05)
                return value
        except TimeoutError:
            shown = await self.evaluate("document.body.innerText")
            raise AssertionError(
                f"not within {within_s} s: {script}\ncomplaints: {self.complaints}\nthe page shows: {shown}"
            ) from None

    async def screenshot(self, path: Path) -> None:
        """Write what is visible as a PNG."""
        answer = await self.send("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(answer["data"]))

    async def send(self, method: str, /, within_s: float = 20.0, **parameters: Any) -> dict[str, Any]:
        """Give a command of the protocol and wait for its answer."""
        number = next(self._ids)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            await self._socket.send(json.dumps(message))
            async with asyncio.timeout(within_s):
                answer = await self._answers[number]
        finally:
            del self._answers[number]
        if "error" in answer:
            raise PageError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    async def listen(self) -> None:
        """Take in what the browser says until it hangs up."""
        try:
            async for message in self._socket:
                self._take(json.loads(message))
        except ConnectionClosed:
            pass
        finally:
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(PageError("the browser is gone"))

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            answer = self._answers.get(message["id"])
            if answer is not None and not answer.done():
                answer.set_result(message)
            return
        event = message["params"]
        match message["method"]:
            case "Page.loadEventFired":
                self._loaded.set()
            case "Network.requestWillBeSent" if not event["request"]["url"].startswith("data:"):
                self.requests.append(event["request"]["url"])
            case "Network.webSocketCreated":
                self.requests.append(event["url"])
            case "Runtime.exceptionThrown":
                details = event["exceptionDetails"]
                self.complaints.append(details.get("exception", {}).get("description", details["text"]))
            case "Runtime.consoleAPICalled" if event["type"] in ("error", "warning"):
                said = [str(part.get("value", part.get("description"))) for part in event["args"]]
                self.complaints.append(" ".join(said))
            case "Log.entryAdded" if event["entry"]["level"] in ("error", "warning"):
                entry = event["entry"]
                self.complaints.append(f"{entry['source']}: {entry['text']} {entry.get('url', '')}")
            case _:
                pass


@asynccontextmanager
async def browser(language: str = "en-US", width: int = 1280, height: int = 800) -> AsyncGenerator[Page]:
    """Chromium with an empty profile and one empty tab; all of it is gone afterwards."""
    if CHROMIUM is None:
        # A developer may do without; the gate has installed it, and must not pass by looking away.
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("There is no Chromium on the PATH: install it, on Debian by `apt-get install chromium`.")
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            CHROMIUM,
            *FLAGS,
            f"--user-data-dir={profile}",
            "about:blank",
            env={**os.environ, "HOME": profile},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # its helpers are in its group, and end with it
        )
        try:
            url = await _devtools_url(process, Path(profile) / "DevToolsActivePort")
            async with connect(
                url, max_size=None, compression=None, ping_interval=None, proxy=None
            ) as socket:
                page = Page(socket)
                listener = asyncio.create_task(page.listen())
                try:
                    await page.open(language, width, height)
                    yield page
                finally:
                    await socket.close()
                    await listener
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _devtools_url(process: asyncio.subprocess.Process, file: Path, within_s: float = 30.0) -> str:
    """Where the protocol is spoken: Chromium chooses a free port and writes it down."""
    async with asyncio.timeout(within_s):
        while (url := _written_url(file)) is None:
            if process.returncode is not None:
                raise PageError(f"Chromium ended with code {process.returncode}")
            await asyncio.sleep(0.05)
    return url


def _written_url(file: Path) -> str | None:
    lines = file.read_text().split() if file.exists() else []
    return f"ws://127.0.0.1:{lines[0]}{lines[1]}" if len(lines) == 2 else None
