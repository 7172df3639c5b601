"""A connection that a test can cut."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Cable:
    """A connection to the server that a test can cut and mend."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_cut = False
        self._writers: set[asyncio.StreamWriter] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Lead a client to the server."""
        if self._is_cut:
            writer.transport.abort()
            return
        there, to_server = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers |= {writer, to_server}
        try:
            await asyncio.gather(_flow(reader, to_server), _flow(there, writer))
        finally:
            self._writers -= {writer, to_server}

    def cut(self) -> None:
        """Break every connection off, and let none be made."""
        self._is_cut = True
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        """Let connections be made again."""
        self._is_cut = False


async def _flow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # cut
    finally:
        writer.close()


@asynccontextmanager
async def cable_to(port: int) -> AsyncGenerator[tuple[Cable, int], None]:
    """A cable to a port of this machine, and the port at which it begins."""
    cable = Cable(port)
    async with await asyncio.start_server(cable.accept, "127.0.0.1", 0) as server:
        yield cable, server.sockets[0].getsockname()[1]
        cable.cut()
