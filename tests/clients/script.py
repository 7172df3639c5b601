"""A script that runs beside the test and tells of what happens to it, a line of JSON for each thing."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

WITHIN_S = 30.0


class Script:
    """One running script."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def tells(self, what: str) -> Any:
        """What it tells next, which is of this kind."""
        told = await self.line()
        assert list(told) == [what], f"{told} instead of {what!r}"
        return told[what]

    async def ends(self) -> None:
        """See that it has nothing more to tell and ends well."""
        assert self._process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            rest = await self._process.stdout.read()
            assert await self._process.wait() == 0, await self._complaint()
        assert rest == b"", rest.decode()

    async def line(self) -> dict[str, Any]:
        """What it tells next, of whatever kind."""
        assert self._process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            line = await self._process.stdout.readline()
            assert line, await self._complaint()
        return json.loads(line)

    async def _complaint(self) -> str:
        assert self._process.stderr is not None
        return (await self._process.stderr.read()).decode()


@asynccontextmanager
async def running_script(
    node: list[str], folder: Path, script: str, scene: dict[str, Any], *arguments: str
) -> AsyncGenerator[Script, None]:
    """Run it with a scene; whatever is left of it at the end is killed."""
    process = await asyncio.create_subprocess_exec(
        *node,
        script,
        json.dumps(scene),
        *arguments,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Script(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
