"""People, catalogue and parties."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import UserDefinedType

revision = "0001"
down_revision = None

# Conjoining jamo (what NFD makes of a syllable: leading, vowel, trailing) to the letters of a keyboard.
LEADING = "".join(map(chr, range(0x1100, 0x1113)))
VOWEL = "".join(map(chr, range(0x1161, 0x1176)))
TRAILING = "".join(map(chr, range(0x11A8, 0x11C3)))
LEADING_KEYS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
VOWEL_KEYS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
TRAILING_KEYS = "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"

# Letters typed with two keys. Split, so that what is typed half (달) is a part of the whole (닭), and so that
# two initials which a keyboard has joined (ㄱㅅ to ㄳ) are two again.
TWO_KEYS = dict(
    zip(
        "ㄳㄵㄶㄺㄻㄼㄽㄾㄿㅀㅄㅘㅙㅚㅝㅞㅟㅢ",
        [
            "ㄱㅅ",
            "ㄴㅈ",
            "ㄴㅎ",
            "ㄹㄱ",
            "ㄹㅁ",
            "ㄹㅂ",
            "ㄹㅅ",
            "ㄹㅌ",
            "ㄹㅍ",
            "ㄹㅎ",
            "ㅂㅅ",
            "ㅗㅏ",
            "ㅗㅐ",
            "ㅗㅣ",
            "ㅜㅓ",
            "ㅜㅔ",
            "ㅜㅣ",
            "ㅡㅣ",
        ],
        strict=True,
    )
)


class Cube(UserDefinedType[str]):
    """The type of the extension `cube`."""

    def get_col_spec(self, **kw: Any) -> str:
        """Its name."""
        return "cube"


def create_search_functions() -> None:
    """SQL functions that make a Korean text findable: see `resolvers/search.py`.

    Their bodies are standard SQL, bound when created: no search path can change what they call.
    """
    split = "value"
    for letter, keys in TWO_KEYS.items():
        split = f"replace({split}, '{letter}', '{keys}')"
    functions = {
        "search_split_keys(value text) RETURNS text": split,
        "search_letters(value text) RETURNS text": "regexp_replace(lower(normalize(value, NFC)), '\\s+', '', 'g')",
        "search_initials(letters text) RETURNS text": (
            f"search_split_keys(translate(normalize(letters, NFD), '{LEADING}{VOWEL}{TRAILING}', '{LEADING_KEYS}'))"
        ),
        "search_jamo(letters text) RETURNS text": (
            f"search_split_keys(translate(normalize(letters, NFD), '{LEADING}{VOWEL}{TRAILING}',"
            f" '{LEADING_KEYS}{VOWEL_KEYS}{TRAILING_KEYS}'))"
        ),
        "search_text(value text) RETURNS text": (
            "search_letters(value) || chr(10) || search_initials(search_letters(value))"
            " || chr(10) || search_jamo(search_letters(value))"
        ),
        "search_grams(value text) RETURNS text[]": (
            "(SELECT coalesce(array_agg(DISTINCT substr(value, start, size)), '{}')"
            " FROM generate_series(1, length(value)) AS start, generate_series(1, 2) AS size"
            " WHERE position(chr(10) IN substr(value, start, size)) = 0)"
        ),
    }
    for signature, body in functions.items():
        op.execute(f"CREATE FUNCTION {signature} LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN {body}")


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS cube")
    create_search_functions()
    op.create_table(
        "items",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("source_id", sa.String(length=80), nullable=False),
        sa.Column("category", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("unit", sa.String(length=20), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "search_text",
            sa.Text(),
            sa.Computed("search_text(name || ' ' || category)", persisted=True),
            nullable=False,
        ),
        sa.Column(
            "search_grams",
            sa.ARRAY(sa.Text()),
            sa.Computed("search_grams(search_text(name || ' ' || category))", persisted=True),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_items")),
        sa.UniqueConstraint("source", "source_id", name=op.f("uq_items_source_source_id")),
    )
    op.create_index("ix_items_category", "items", ["category", "name", "id"], unique=False)
    op.create_index("ix_items_name", "items", ["name", "id"], unique=False)
    op.create_index("ix_items_search_grams", "items", ["search_grams"], unique=False, postgresql_using="gin")
    op.create_table(
        "markets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("source_id", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("address", sa.String(length=200), nullable=False),
        sa.Column("region", sa.String(length=40), nullable=False),
        sa.Column("latitude", sa.Float(), nullable=False),
        sa.Column("longitude", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "position",
            Cube(),
            sa.Computed(
                "cube(ARRAY[cos(radians(latitude)) * cos(radians(longitude)), cos(radians(latitude)) * sin(radians(longitude)), sin(radians(latitude))])",
                persisted=True,
            ),
            nullable=False,
        ),
        sa.Column("search_text", sa.Text(), sa.Computed("search_text(name)", persisted=True), nullable=False),
        sa.Column(
            "search_grams",
            sa.ARRAY(sa.Text()),
            sa.Computed("search_grams(search_text(name))", persisted=True),
            nullable=False,
        ),
        sa.CheckConstraint(
            "kind IN ('LARGE_MART', 'SUPERMARKET', 'DEPARTMENT_STORE', 'CONVENIENCE_STORE', 'TRADITIONAL_MARKET', 'OTHER')",
            name=op.f("ck_markets_kind_known"),
        ),
        sa.CheckConstraint(
            "latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180", name=op.f("ck_markets_on_globe")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_markets")),
        sa.UniqueConstraint("id", "position", name=op.f("uq_markets_id_position")),
        sa.UniqueConstraint("source", "source_id", name=op.f("uq_markets_source_source_id")),
    )
    op.create_index("ix_markets_name", "markets", ["name", "id"], unique=False)
    op.create_index("ix_markets_position", "markets", ["position"], unique=False, postgresql_using="gist")
    op.create_index(
        "ix_markets_search_grams", "markets", ["search_grams"], unique=False, postgresql_using="gin"
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("nickname", sa.String(length=20), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("home_address", sa.String(length=200), nullable=False),
        sa.Column("home_region", sa.String(length=40), nullable=False),
        sa.Column("home_latitude", sa.Float(), nullable=False),
        sa.Column("home_longitude", sa.Float(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "position",
            Cube(),
            sa.Computed(
                "cube(ARRAY[cos(radians(home_latitude)) * cos(radians(home_longitude)), cos(radians(home_latitude)) * sin(radians(home_longitude)), sin(radians(home_latitude))])",
                persisted=True,
            ),
            nullable=False,
        ),
        sa.CheckConstraint("role IN ('USER', 'ADMIN')", name=op.f("ck_users_role_known")),
        sa.CheckConstraint(
            "home_latitude BETWEEN -90 AND 90 AND home_longitude BETWEEN -180 AND 180",
            name=op.f("ck_users_home_on_globe"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_index("ix_users_position", "users", ["position"], unique=False, postgresql_using="gist")
    op.create_index("uq_users_email", "users", [sa.literal_column("lower(email)")], unique=True)
    op.create_index("uq_users_nickname", "users", [sa.literal_column("lower(nickname)")], unique=True)
    op.create_table(
        "item_bookmarks",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["item_id"], ["items.id"], name=op.f("fk_item_bookmarks_item_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_item_bookmarks_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "item_id", name=op.f("pk_item_bookmarks")),
    )
    op.create_index("ix_item_bookmarks_item_id", "item_bookmarks", ["item_id"], unique=False)
    op.create_table(
        "market_bookmarks",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("market_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["market_id"], ["markets.id"], name=op.f("fk_market_bookmarks_market_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_market_bookmarks_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "market_id", name=op.f("pk_market_bookmarks")),
    )
    op.create_index("ix_market_bookmarks_market_id", "market_bookmarks", ["market_id"], unique=False)
    op.create_table(
        "parties",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("leader_id", sa.Uuid(), nullable=False),
        sa.Column("market_id", sa.Uuid(), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("item_count", sa.Integer(), nullable=False),
        sa.Column("item_unit", sa.String(length=20), nullable=False),
        sa.Column("estimated_price", sa.Integer(), nullable=True),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("min_members", sa.Integer(), nullable=False),
        sa.Column("accepted_count", sa.Integer(), nullable=False),
        sa.Column("accepted_quantity", sa.Integer(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("join_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=True),
        sa.Column("approval", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("market_position", Cube(), nullable=False),
        sa.CheckConstraint("approval IN ('MANUAL', 'AUTO')", name=op.f("ck_parties_approval_known")),
        sa.CheckConstraint(
            "join_by <= starts_at AND starts_at < ends_at AND ends_at <= starts_at + interval '24 hours'",
            name=op.f("ck_parties_times_in_order"),
        ),
        sa.CheckConstraint(
            "status IN ('OPEN', 'FULL', 'DONE', 'CANCELED')", name=op.f("ck_parties_status_known")
        ),
        sa.CheckConstraint(
            "status NOT IN ('OPEN', 'FULL') OR (status = 'FULL') = (accepted_count = capacity OR accepted_quantity = item_count)",
            name=op.f("ck_parties_full_follows_from_places"),
        ),
        sa.CheckConstraint(
            "2 <= min_members AND min_members <= capacity AND capacity <= 50",
            name=op.f("ck_parties_capacity_range"),
        ),
        sa.CheckConstraint(
            "accepted_count BETWEEN 1 AND capacity", name=op.f("ck_parties_accepted_within_capacity")
        ),
        sa.CheckConstraint(
            "accepted_quantity BETWEEN 0 AND item_count", name=op.f("ck_parties_quantity_within_pack")
        ),
        sa.CheckConstraint(
            "estimated_price BETWEEN 0 AND 1000000000", name=op.f("ck_parties_estimated_price_range")
        ),
        sa.CheckConstraint("item_count BETWEEN 1 AND 10000", name=op.f("ck_parties_item_count_range")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_parties_item_id")),
        sa.ForeignKeyConstraint(["leader_id"], ["users.id"], name=op.f("fk_parties_leader_id")),
        sa.ForeignKeyConstraint(
            ["market_id", "market_position"],
            ["markets.id", "markets.position"],
            name="fk_parties_market_id_market_position",
            onupdate="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parties")),
    )
    op.create_index("ix_parties_item_id", "parties", ["item_id"], unique=False)
    op.create_index("ix_parties_leader_id", "parties", ["leader_id"], unique=False)
    op.create_index("ix_parties_market_id", "parties", ["market_id"], unique=False)
    op.create_index(
        "ix_parties_position_canceled",
        "parties",
        ["market_position"],
        unique=False,
        postgresql_using="gist",
        postgresql_where=sa.text("status = 'CANCELED'"),
    )
    op.create_index(
        "ix_parties_position_done",
        "parties",
        ["market_position"],
        unique=False,
        postgresql_using="gist",
        postgresql_where=sa.text("status = 'DONE'"),
    )
    op.create_index(
        "ix_parties_position_full",
        "parties",
        ["market_position"],
        unique=False,
        postgresql_using="gist",
        postgresql_where=sa.text("status = 'FULL'"),
    )
    op.create_index(
        "ix_parties_position_open",
        "parties",
        ["market_position"],
        unique=False,
        postgresql_using="gist",
        postgresql_where=sa.text("status = 'OPEN'"),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("user_agent", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("generation >= 1", name=op.f("ck_sessions_generation_positive")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_sessions_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index(
        "ix_sessions_user_id", "sessions", ["user_id"], unique=False, postgresql_where="ended_at IS NULL"
    )
    op.create_table(
        "memberships",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.CheckConstraint(
            "role <> 'LEADER' OR status = 'ACCEPTED'", name=op.f("ck_memberships_leader_stays")
        ),
        sa.CheckConstraint("role IN ('LEADER', 'MEMBER')", name=op.f("ck_memberships_role_known")),
        sa.CheckConstraint(
            "status IN ('REQUESTED', 'ACCEPTED', 'REJECTED', 'WITHDRAWN', 'LEFT', 'REMOVED')",
            name=op.f("ck_memberships_status_known"),
        ),
        sa.CheckConstraint("quantity >= 1", name=op.f("ck_memberships_quantity_positive")),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"], name=op.f("fk_memberships_party_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_memberships_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memberships")),
    )
    op.create_index("ix_memberships_party_id", "memberships", ["party_id", "id"], unique=False)
    op.create_index("ix_memberships_user_id", "memberships", ["user_id", "party_id"], unique=False)
    op.create_index(
        "uq_memberships_leader",
        "memberships",
        ["party_id"],
        unique=True,
        postgresql_where=sa.text("role = 'LEADER'"),
    )
    op.create_index(
        "uq_memberships_live",
        "memberships",
        ["party_id", "user_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('REQUESTED', 'ACCEPTED')"),
    )
    op.create_table(
        "party_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name=op.f("fk_party_events_actor_id")),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"], name=op.f("fk_party_events_party_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_party_events")),
    )
    op.create_index("ix_party_events_party_id", "party_events", ["party_id", "id"], unique=False)
