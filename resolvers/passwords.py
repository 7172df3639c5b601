"""Passwords: hashed by argon2id, off the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

ResultT = TypeVar("ResultT")


class Passwords:
    """Hashes and checks passwords in threads of its own, two at a time: each takes 64 MiB and some 50 ms."""

    def __init__(self, hasher: argon2.PasswordHasher | None = None, threads: int = 2) -> None:
        self._hasher = hasher or argon2.PasswordHasher()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        # Compared with when there is no account, so that the answer takes as long as for one.
        self._nobody = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """The text to store: parameters, salt and digest."""
        return await self._run(self._hasher.hash, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password is the one behind the stored text; always false, and as slow, for None."""
        return await self._run(self._matches, stored or self._nobody, password) and stored is not None

    def close(self) -> None:
        """End the threads. Hashes that wait are dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _matches(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[..., ResultT], *arguments: str) -> ResultT:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
