"""What people say to each other and what they are told, numbered; and what is still to be published."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

KINDS = (
    "'PARTY_CREATED', 'PARTY_CANCELED', 'PARTY_CHANGED', 'PARTY_FULL', 'PARTY_DONE', 'CHAT_OPENED',"
    " 'CHAT_MESSAGE', 'JOIN_REQUESTED', 'JOIN_ACCEPTED', 'JOIN_REJECTED', 'MEMBER_LEFT', 'MEMBER_REMOVED',"
    " 'PENALTY_RECEIVED', 'PENALTY_REVOKED', 'DELIVERY_MATCHED', 'DELIVERY_UNMATCHED', 'DELIVERY_PICKED_UP',"
    " 'DELIVERY_DELIVERED', 'DELIVERY_CANCELED', 'PURCHASE_SHIPPED', 'PURCHASE_CONFIRM_REMINDER',"
    " 'PURCHASE_CONFIRMED'"
)
NOTICES = "'JOINED', 'LEFT', 'REMOVED', 'OPENED', 'CLOSED', 'CHANGED', 'FULL', 'CANCELED', 'DONE'"
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    # The default stays: servers of the version before go on opening parties meanwhile.
    op.add_column("parties", sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
    chats()
    notifications()
    op.create_table(
        "outbox",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("data", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index("ix_outbox_created_at", "outbox", ["created_at"])


def chats() -> None:
    op.create_table(
        "chats",
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.Column("closed_at", INSTANT, nullable=True),
        sa.CheckConstraint("last_number >= 0", name=op.f("ck_chats_last_number_positive")),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"], name=op.f("fk_chats_party_id")),
        sa.PrimaryKeyConstraint("party_id", name=op.f("pk_chats")),
    )
    op.create_table(
        "chat_messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("notice", sa.String(length=32), nullable=True),
        sa.Column("sender_id", sa.Uuid(), nullable=True),
        sa.Column("text", sa.String(length=2000), nullable=False),
        sa.Column("client_key", sa.String(length=100), nullable=True),
        sa.Column("sent_at", INSTANT, nullable=False),
        sa.CheckConstraint(
            "kind IN ('CHAT', 'JOINED', 'LEFT', 'SYSTEM')", name=op.f("ck_chat_messages_kind_known")
        ),
        sa.CheckConstraint(f"notice IN ({NOTICES})", name=op.f("ck_chat_messages_notice_known")),
        sa.CheckConstraint("number >= 1", name=op.f("ck_chat_messages_number_positive")),
        sa.CheckConstraint(
            "(kind = 'CHAT') = (notice IS NULL)", name=op.f("ck_chat_messages_server_has_notice")
        ),
        sa.CheckConstraint(
            "kind = 'SYSTEM' OR sender_id IS NOT NULL", name=op.f("ck_chat_messages_has_sender")
        ),
        sa.CheckConstraint("(kind = 'CHAT') = (text <> '')", name=op.f("ck_chat_messages_members_have_text")),
        sa.ForeignKeyConstraint(["party_id"], ["chats.party_id"], name=op.f("fk_chat_messages_party_id")),
        sa.ForeignKeyConstraint(["sender_id"], ["users.id"], name=op.f("fk_chat_messages_sender_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chat_messages")),
    )
    op.create_index("uq_chat_messages_party_id_number", "chat_messages", ["party_id", "number"], unique=True)
    op.create_index(
        "uq_chat_messages_client_key",
        "chat_messages",
        ["party_id", "sender_id", "client_key"],
        unique=True,
        postgresql_where=sa.text("client_key IS NOT NULL"),
    )
    op.create_table(
        "chat_readers",
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("read_number", sa.Integer(), nullable=False),
        sa.Column("notified_number", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "read_number >= 0 AND notified_number >= 0", name=op.f("ck_chat_readers_numbers_positive")
        ),
        sa.ForeignKeyConstraint(["party_id"], ["chats.party_id"], name=op.f("fk_chat_readers_party_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_chat_readers_user_id")),
        sa.PrimaryKeyConstraint("party_id", "user_id", name=op.f("pk_chat_readers")),
    )


def notifications() -> None:
    op.create_table(
        "mailboxes",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.CheckConstraint("last_number >= 0", name=op.f("ck_mailboxes_last_number_positive")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_mailboxes_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_mailboxes")),
    )
    op.create_table(
        "notifications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("receiver_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("subject_kind", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("detail", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("read_at", INSTANT, nullable=True),
        sa.CheckConstraint(f"kind IN ({KINDS})", name=op.f("ck_notifications_kind_known")),
        sa.CheckConstraint(
            "subject_kind IN ('PARTY', 'CHAT', 'MEMBERSHIP')",
            name=op.f("ck_notifications_subject_kind_known"),
        ),
        sa.CheckConstraint("number >= 1", name=op.f("ck_notifications_number_positive")),
        sa.ForeignKeyConstraint(["receiver_id"], ["users.id"], name=op.f("fk_notifications_receiver_id")),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"], name=op.f("fk_notifications_party_id")),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name=op.f("fk_notifications_actor_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
    )
    op.create_index(
        "uq_notifications_receiver_id_number", "notifications", ["receiver_id", "number"], unique=True
    )
    op.create_index(
        "ix_notifications_unread",
        "notifications",
        ["receiver_id"],
        postgresql_where=sa.text("read_at IS NULL"),
    )
    op.create_index("ix_notifications_created_at", "notifications", ["created_at"])
    op.create_table(
        "notification_preferences",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("in_app", sa.Boolean(), nullable=False),
        sa.Column("sms", sa.Boolean(), nullable=False),
        sa.CheckConstraint(f"kind IN ({KINDS})", name=op.f("ck_notification_preferences_kind_known")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_notification_preferences_user_id")),
        sa.PrimaryKeyConstraint("user_id", "kind", name=op.f("pk_notification_preferences")),
    )
