import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import argon2
import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from models.errors import DomainError, TooManyAttempts, WrongCredentials
from resolvers import attempts as module
from resolvers import sessions
from resolvers.attempts import Attempts
from resolvers.passwords import Passwords
from resolvers.sessions import Keys
from resolvers.transaction import Transaction, Transactions
from tests.attempts import HERE, MANGO, NOW, fail, succeed
from tests.conftest import MovableClock
from tests.people import PASSWORD, make_keys, sign_up, viewer_now

WRONG, NEW = "wrong password", "훨씬 더 비밀이에요"


@pytest.fixture
def attempts(redis: Redis) -> Attempts:
    """With a secret of its own: nobody else counts there."""
    return Attempts(redis, f"a secret of tests {os.urandom(8).hex()}")


async def test_ten_failures_for_an_account_shut_it_from_every_address(attempts: Attempts):
    for number in range(10):
        assert await fail(attempts, address=f"192.0.2.{number}") == 0
    assert await fail(attempts, address="192.0.2.99") == 60
    assert await fail(attempts, address=None) == 60
    assert await fail(attempts, "other@example.com", "192.0.2.99") == 0


async def test_ten_failures_from_an_address_shut_it_for_every_account(attempts: Attempts):
    for number in range(10):
        assert await fail(attempts, f"person{number}@example.com") == 0
    assert await fail(attempts, "person99@example.com") == 60
    assert await fail(attempts, "person99@example.com", "192.0.2.2") == 0


async def test_the_window_slides_and_says_when_the_next_one_is_free(attempts: Attempts):
    for number in range(10):
        await fail(attempts, now=NOW + timedelta(seconds=5 * number))
    assert await fail(attempts, now=NOW + timedelta(seconds=45)) == 15
    assert await fail(attempts, now=NOW + timedelta(seconds=59, milliseconds=1)) == 1
    # The first is forgotten, the second is not: one is free and no more.
    assert await fail(attempts, now=NOW + timedelta(seconds=60)) == 0
    assert await fail(attempts, now=NOW + timedelta(seconds=60)) == 5
    assert await fail(attempts, now=NOW + timedelta(seconds=65)) == 0


async def test_a_refused_attempt_does_not_count(attempts: Attempts):
    for _ in range(10):
        await fail(attempts)
    for second in range(60):
        assert await fail(attempts, now=NOW + timedelta(seconds=second)) == 60 - second
    assert await fail(attempts, now=NOW + timedelta(seconds=60)) == 0


async def test_a_success_clears_the_account_and_leaves_the_address_as_it_was(attempts: Attempts):
    for _ in range(9):
        await fail(attempts)
    await succeed(attempts)
    # The tenth from this address; the first for this account.
    assert await fail(attempts) == 0
    assert await fail(attempts) == 60
    assert await fail(attempts, address="192.0.2.2") == 0


async def test_a_crowd_that_is_right_is_not_refused_behind_one_address(attempts: Attempts):
    await asyncio.gather(*(succeed(attempts, f"person{number}@example.com") for number in range(50)))
    await asyncio.gather(*(succeed(attempts) for _ in range(50)))


async def test_whoever_gives_up_before_the_answer_has_tried(attempts: Attempts):
    for _ in range(10):
        with contextlib.suppress(asyncio.CancelledError):
            async with attempts.attempt(MANGO, HERE, NOW):
                raise asyncio.CancelledError
    assert await fail(attempts) == 60


@pytest.mark.parametrize(
    "spelling",
    [
        "MANGO@example.com",
        " mango@example.com\n",
        "Mango@Example.COM",
        "man\u0261o@example.com".replace("ɡ", "g"),
    ],
)
async def test_another_spelling_of_an_address_has_no_attempts_of_its_own(attempts: Attempts, spelling: str):
    for _ in range(10):
        await fail(attempts, address=None)
    assert await fail(attempts, spelling, address=None) == 60


async def test_what_is_one_address_to_the_database_is_one_account_here(tx: Transaction):
    letters = text(
        "SELECT chr(code), lower(chr(code)) FROM generate_series(1, 1114111) code"
        " WHERE code NOT BETWEEN 55296 AND 57343 AND lower(chr(code)) <> chr(code)"
    )
    rows = (await tx.session.execute(letters)).all()
    assert len(rows) > 1000
    folded = module._folded  # pyright: ignore[reportPrivateUsage]
    assert [row for row in rows if folded(f"a{row[0]}") != folded(f"a{row[1]}")] == []


async def test_a_network_of_version_6_is_one_address(attempts: Attempts):
    for number in range(10):
        await fail(attempts, f"person{number}@example.com", f"2001:db8:1:2::{number:x}")
    assert await fail(attempts, "other@example.com", "2001:db8:1:2:ffff::") == 60
    assert await fail(attempts, "other@example.com", "2001:db8:1:3::1") == 0


async def test_processes_count_together_and_servers_with_other_secrets_apart(redis: Redis):
    secret = f"a secret of tests {os.urandom(8).hex()}"
    one, other, stranger = Attempts(redis, secret), Attempts(redis, secret), Attempts(redis, secret + "!")
    results = await asyncio.gather(*(fail(each) for each in (one, other) for _ in range(25)))
    assert results.count(0) == 10
    assert await fail(stranger) == 0


# Against real sign-ins


class CountingHasher(argon2.PasswordHasher):
    """Counts how often a password is looked at."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self.verified += 1
        return super().verify(hash, password)


@dataclass
class Door:
    """Where people sign in, and how often argon2 was spent there."""

    transactions: Transactions
    keys: Keys
    hasher: CountingHasher

    async def knock(self, password: str = WRONG, *, email: str = MANGO, address: str = HERE) -> str:
        """What an attempt to sign in is answered with."""
        try:
            async with self.transactions.write() as tx:
                await sessions.sign_in(tx, self.keys, email, password, address=address)
        except DomainError as refusal:
            return refusal.code()
        return "TOKENS"


@pytest.fixture
async def door(
    fresh_transactions: Transactions, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Door, None]:
    # On a busy machine a crowd waits for Redis longer than one is allowed to, and would be counted here.
    monkeypatch.setattr(module, "ANSWER_WITHIN_S", 10.0)
    hasher = CountingHasher()
    passwords = Passwords(hasher)
    keys = make_keys(redis, passwords)
    async with fresh_transactions.write() as tx:
        await sign_up(tx, keys)
    yield Door(fresh_transactions, keys, hasher)
    passwords.close()


async def test_fifty_wrong_sign_ins_at_once_spend_argon2_ten_times(door: Door):
    answers = await asyncio.gather(*(door.knock(address=f"192.0.2.{number}") for number in range(50)))
    assert sorted(answers) == ["TOO_MANY_ATTEMPTS"] * 40 + ["WRONG_CREDENTIALS"] * 10
    assert door.hasher.verified == 10
    # Not even the right one is looked at.
    assert await door.knock(PASSWORD, address="192.0.2.99") == "TOO_MANY_ATTEMPTS"
    assert door.hasher.verified == 10


async def test_fifty_addresses_tried_from_one_place_spend_argon2_ten_times(door: Door):
    answers = await asyncio.gather(*(door.knock(email=f"person{number}@example.com") for number in range(50)))
    assert answers.count("WRONG_CREDENTIALS") == 10
    assert door.hasher.verified == 10
    assert await door.knock(PASSWORD) == "TOO_MANY_ATTEMPTS"
    assert await door.knock(PASSWORD, address="192.0.2.2") == "TOKENS"


async def test_a_minute_later_the_right_password_lets_in(door: Door, clock: MovableClock):
    for _ in range(11):
        await door.knock()
    clock.move(seconds=59)
    assert await door.knock(PASSWORD) == "TOO_MANY_ATTEMPTS"
    clock.move(seconds=1)
    assert await door.knock(PASSWORD) == "TOKENS"


async def test_fifty_right_sign_ins_at_once_from_one_address_all_succeed(door: Door):
    assert await asyncio.gather(*(door.knock(PASSWORD) for _ in range(50))) == ["TOKENS"] * 50


async def test_wrong_passwords_count_wherever_they_are_asked_for(door: Door):
    async with door.transactions.write() as tx:
        viewer = await viewer_now(tx, door.keys, await sessions.sign_in(tx, door.keys, MANGO, PASSWORD))
    for number in range(9):
        assert await door.knock(address=f"192.0.2.{number}") == "WRONG_CREDENTIALS"
    for refusal in (WrongCredentials, TooManyAttempts):
        with pytest.raises(refusal):
            async with door.transactions.write() as tx:
                await sessions.change_password(tx, door.keys, viewer, WRONG, NEW, address=HERE)
    assert await door.knock(PASSWORD) == "TOO_MANY_ATTEMPTS"
