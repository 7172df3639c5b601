"""The database refuses what the rules refuse, whoever writes to it."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.database import make_engine
from models.notifications import NotificationKind
from models.parties import Approval
from models.penalties import COUNTS_FOR, Penalty
from models.users import Session
from resolvers import chat, items, markets, memberships, notifications
from resolvers.notifications import PreferenceView
from resolvers.transaction import Transaction
from tests.factories import make_item, make_market, make_party, make_user

COPY_ITEM = """
INSERT INTO items (id, source, source_id, category, name, updated_at)
SELECT gen_random_uuid(), source, source_id, category, name, updated_at FROM items"""
COPY_MARKET = """
INSERT INTO markets (id, source, source_id, name, kind, address, region, latitude, longitude, updated_at)
SELECT gen_random_uuid(), source, source_id, name, kind, address, region, latitude, longitude, updated_at
FROM markets"""
COPY_MEMBERSHIP = """
INSERT INTO memberships
SELECT (jsonb_populate_record(each, jsonb_build_object('id', gen_random_uuid(), {changes}))).*
FROM memberships AS each WHERE role = {role}"""
DONE = "UPDATE parties SET status = 'DONE', done_at = now(), actual_price = {}"
COPY_PENALTY = """
INSERT INTO penalties (id, party_id, user_id, given_by_id, reason, given_at, expires_at)
SELECT gen_random_uuid(), party_id, user_id, given_by_id, reason, given_at, expires_at FROM penalties"""
COPY_OBJECTION = """
INSERT INTO objections (id, penalty_id, text, made_at)
SELECT gen_random_uuid(), penalty_id, text, made_at FROM objections"""

REFUSED = [
    ("uq_items_source_source_id", COPY_ITEM),
    ("uq_markets_source_source_id", COPY_MARKET),
    ("ck_markets_kind_known", "UPDATE markets SET kind = 'SHOP'"),
    ("ck_markets_on_globe", "UPDATE markets SET latitude = 90.1"),
    ("ck_markets_on_globe", "UPDATE markets SET longitude = -180.1"),
    ("ck_markets_on_globe", "UPDATE markets SET latitude = 'NaN'"),
    ("ck_users_withdrawn_is_erased", "UPDATE users SET withdrawn_at = created_at"),
    ("ck_users_withdrawn_is_erased", "UPDATE users SET email = NULL"),
    (
        "ck_users_withdrawn_is_nobody",
        "UPDATE users SET withdrawn_at = created_at, role = 'ADMIN', email = NULL, password_hash = NULL,"
        " home_address = NULL, home_region = NULL, home_latitude = NULL, home_longitude = NULL",
    ),
    ("ck_users_role_known", "UPDATE users SET role = 'OWNER'"),
    ("ck_users_home_on_globe", "UPDATE users SET home_longitude = 180.1"),
    ("ck_users_home_on_globe", "UPDATE users SET home_latitude = 'NaN'"),
    ("uq_users_email", "UPDATE users SET email = CASE WHEN id = :leader THEN 'a@b.kr' ELSE 'A@B.KR' END"),
    ("uq_users_nickname", "UPDATE users SET nickname = CASE WHEN id = :leader THEN 'mango' ELSE 'Mango' END"),
    ("ck_sessions_generation_positive", "UPDATE sessions SET generation = 0"),
    ("ck_parties_status_known", "UPDATE parties SET status = 'CLOSED'"),
    ("ck_parties_approval_known", "UPDATE parties SET approval = 'NONE'"),
    ("ck_parties_item_count_range", "UPDATE parties SET item_count = 10001"),
    ("ck_parties_estimated_price_range", "UPDATE parties SET estimated_price = -1"),
    ("ck_parties_estimated_price_range", "UPDATE parties SET estimated_price = 1000000001"),
    ("ck_parties_capacity_range", "UPDATE parties SET capacity = 51"),
    ("ck_parties_capacity_range", "UPDATE parties SET min_members = 1"),
    ("ck_parties_capacity_range", "UPDATE parties SET min_members = 5"),
    ("ck_parties_accepted_within_capacity", "UPDATE parties SET accepted_count = 5"),
    ("ck_parties_accepted_within_capacity", "UPDATE parties SET accepted_count = 0"),
    ("ck_parties_quantity_within_pack", "UPDATE parties SET accepted_quantity = 31"),
    ("ck_parties_quantity_within_pack", "UPDATE parties SET accepted_quantity = -1"),
    ("ck_parties_full_follows_from_places", "UPDATE parties SET status = 'FULL'"),
    ("ck_parties_full_follows_from_places", "UPDATE parties SET accepted_count = 4"),
    ("ck_parties_full_follows_from_places", "UPDATE parties SET accepted_quantity = 30"),
    ("ck_parties_times_in_order", "UPDATE parties SET join_by = starts_at + interval '1 second'"),
    ("ck_parties_times_in_order", "UPDATE parties SET ends_at = starts_at"),
    ("ck_parties_times_in_order", "UPDATE parties SET ends_at = starts_at + interval '24 hours 1 second'"),
    (
        "fk_parties_market_id_market_position",
        "UPDATE parties SET market_position = cube(ARRAY[0, 0, 1]::float8[])",
    ),
    ("ck_parties_actual_price_range", DONE.format(-1)),
    ("ck_parties_actual_price_range", DONE.format(1_000_000_001)),
    ("ck_parties_done_has_price", "UPDATE parties SET status = 'DONE', done_at = now()"),
    ("ck_parties_done_has_price", "UPDATE parties SET actual_price = 1"),
    ("ck_parties_done_has_time", "UPDATE parties SET done_at = now()"),
    ("ck_parties_canceled_has_reason", "UPDATE parties SET status = 'CANCELED'"),
    ("ck_parties_canceled_has_reason", "UPDATE parties SET cancel_reason = 'BY_LEADER'"),
    ("ck_parties_cancel_reason_known", "UPDATE parties SET status = 'CANCELED', cancel_reason = 'RAIN'"),
    ("ck_memberships_attendance_known", "UPDATE memberships SET attendance = 'LATE'"),
    ("ck_memberships_amount_positive", "UPDATE memberships SET amount = -1"),
    ("ck_memberships_role_known", "UPDATE memberships SET role = 'HOST'"),
    ("ck_memberships_status_known", "UPDATE memberships SET status = 'GONE' WHERE role = 'MEMBER'"),
    ("ck_memberships_quantity_positive", "UPDATE memberships SET quantity = 0"),
    ("ck_memberships_leader_stays", "UPDATE memberships SET status = 'LEFT' WHERE role = 'LEADER'"),
    (
        "uq_memberships_leader",
        COPY_MEMBERSHIP.format(changes="'user_id', CAST(:stranger AS uuid)", role="'LEADER'"),
    ),
    ("uq_memberships_live", COPY_MEMBERSHIP.format(changes="'status', 'ACCEPTED'", role="'MEMBER'")),
    ("ck_chats_last_number_positive", "UPDATE chats SET last_number = -1"),
    ("ck_chat_messages_kind_known", "UPDATE chat_messages SET kind = 'WHISPER' WHERE kind = 'CHAT'"),
    ("ck_chat_messages_notice_known", "UPDATE chat_messages SET notice = 'RAIN' WHERE notice IS NOT NULL"),
    ("ck_chat_messages_number_positive", "UPDATE chat_messages SET number = 0 WHERE number = 1"),
    ("ck_chat_messages_server_has_notice", "UPDATE chat_messages SET notice = 'LEFT' WHERE kind = 'CHAT'"),
    ("ck_chat_messages_server_has_notice", "UPDATE chat_messages SET notice = NULL WHERE kind = 'SYSTEM'"),
    ("ck_chat_messages_has_sender", "UPDATE chat_messages SET sender_id = NULL WHERE kind = 'CHAT'"),
    ("ck_chat_messages_has_sender", "UPDATE chat_messages SET kind = 'JOINED' WHERE sender_id IS NULL"),
    ("ck_chat_messages_members_have_text", "UPDATE chat_messages SET text = '' WHERE kind = 'CHAT'"),
    ("ck_chat_messages_members_have_text", "UPDATE chat_messages SET text = '!' WHERE kind = 'SYSTEM'"),
    (
        "uq_chat_messages_party_id_number",
        "UPDATE chat_messages SET number = (SELECT last_number FROM chats) WHERE number = 1",
    ),
    ("uq_chat_messages_client_key", "UPDATE chat_messages SET client_key = '1' WHERE kind = 'CHAT'"),
    ("ck_chat_readers_numbers_positive", "UPDATE chat_readers SET read_number = -1"),
    ("ck_chat_readers_numbers_positive", "UPDATE chat_readers SET notified_number = -1"),
    ("ck_mailboxes_last_number_positive", "UPDATE mailboxes SET last_number = -1"),
    ("ck_notifications_kind_known", "UPDATE notifications SET kind = 'RAIN'"),
    ("ck_notifications_subject_kind_known", "UPDATE notifications SET subject_kind = 'RAIN'"),
    ("ck_notifications_number_positive", "UPDATE notifications SET number = 0 WHERE number = 1"),
    ("uq_notifications_receiver_id_number", "UPDATE notifications SET number = 1"),
    ("ck_notification_preferences_kind_known", "UPDATE notification_preferences SET kind = 'RAIN'"),
    ("uq_penalties_party_id_user_id", COPY_PENALTY),
    ("ck_penalties_not_to_oneself", "UPDATE penalties SET given_by_id = user_id"),
    ("ck_penalties_has_reason", "UPDATE penalties SET reason = ''"),
    ("ck_penalties_expires_later", "UPDATE penalties SET expires_at = given_at"),
    ("ck_penalties_revoked_has_reason", "UPDATE penalties SET revoked_at = given_at"),
    ("ck_penalties_revoked_has_reason", "UPDATE penalties SET revoke_reason = '착오'"),
    ("uq_objections_penalty_id", COPY_OBJECTION),
    (
        "ck_objections_decision_known",
        "UPDATE objections SET decision = 'FORGOTTEN', decided_at = made_at, reason = '착오',"
        " decided_by_id = CAST(:stranger AS uuid)",
    ),
    ("ck_objections_has_text", "UPDATE objections SET text = ''"),
    ("ck_objections_decided_has_reason", "UPDATE objections SET decided_at = made_at, decision = 'UPHELD'"),
    ("ck_objections_decided_has_reason", "UPDATE objections SET reason = '착오'"),
    ("pk_item_bookmarks", "INSERT INTO item_bookmarks SELECT * FROM item_bookmarks"),
    ("pk_market_bookmarks", "INSERT INTO market_bookmarks SELECT * FROM market_bookmarks"),
]

NEEDLESS = {"uq_markets_id_position"}
"""Constraints that nothing can break before another one: this is what a foreign key points to."""


@pytest.fixture
async def people(tx: Transaction) -> dict[str, Any]:
    """A party with an applicant, and somebody else: a row in every table that has a rule."""
    leader, applicant, stranger = [await make_user(tx) for _ in range(3)]
    market, item = await make_market(tx), await make_item(tx)
    party = await make_party(tx, leader, market, item, approval=Approval.MANUAL)
    await memberships.join_party(tx, applicant.id, party.id)
    await items.bookmark_item(tx, leader.id, item.id)
    await markets.bookmark_market(tx, leader.id, market.id)
    tx.session.add(Session(user_id=leader.id, created_at=tx.now, last_used_at=tx.now, expires_at=tx.now))
    talked = await make_party(tx, leader)
    await memberships.join_party(tx, stranger.id, talked.id)
    await chat.open_chat(tx, leader.id, talked.id)
    for key in ("1", "2"):
        await chat.send_message(tx, leader.id, talked.id, "안녕하세요", key)
    penalty = Penalty(
        party_id=party.id,
        user_id=applicant.id,
        given_by_id=leader.id,
        reason="안 왔어요",
        given_at=tx.now,
        expires_at=tx.now + COUNTS_FOR,
    )
    tx.session.add(penalty)
    await tx.session.flush()
    tx.session.add(penalty.object("갔는데요", tx.now))
    wish = PreferenceView(NotificationKind.PARTY_CREATED, in_app=False, sms=False)
    await notifications.set_preference(tx, leader.id, wish)
    await tx.finish()
    return {"leader": leader.id, "stranger": stranger.id}


@pytest.mark.parametrize(("constraint", "statement"), REFUSED, ids=[each for each, _ in REFUSED])
async def test_a_row_that_breaks_a_rule_is_refused_by_its_constraint(
    connection: AsyncConnection, people: dict[str, Any], constraint: str, statement: str
):
    used = {name: value for name, value in people.items() if f":{name}" in statement}

    async def attempt() -> None:
        async with connection.begin_nested():
            await connection.execute(text(statement), used)

    with pytest.raises(IntegrityError, match=f'"{constraint}"'):
        await attempt()


async def test_every_constraint_of_the_database_is_among_these(connection: AsyncConnection):
    found = await connection.scalars(
        text(
            "SELECT conname FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid"
            " WHERE contype IN ('c', 'u') AND relnamespace = 'public'::regnamespace"
            " UNION SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
            " WHERE indisunique AND NOT indisprimary AND relnamespace = 'public'::regnamespace"
        )
    )
    assert set(found) - NEEDLESS == {name for name, _ in REFUSED if name.startswith(("ck_", "uq_"))}


async def test_a_connection_of_ours_is_named_and_speaks_utc(engine: AsyncEngine):
    async with engine.connect() as connection:
        shown = [
            await connection.scalar(text(f"SHOW {name}"))
            for name in ("application_name", "timezone", "jit", "idle_in_transaction_session_timeout")
        ]
    assert shown == ["gonggu", "UTC", "off", "1min"]


async def test_a_statement_that_takes_too_long_is_given_up(server_url: str):
    engine = make_engine(server_url, statement_within_s=0.1)
    async with engine.connect() as connection:
        with pytest.raises(TimeoutError):
            await connection.execute(text("SELECT pg_sleep(30)"))
    await engine.dispose()


async def test_what_people_write_stays_out_of_errors(connection: AsyncConnection):
    with pytest.raises(Exception, match="no_such_table") as problem:
        await connection.execute(text("SELECT * FROM no_such_table WHERE name = :name"), {"name": "secret"})
    assert "secret" not in str(problem.value)
