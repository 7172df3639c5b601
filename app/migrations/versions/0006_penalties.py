"""When parties were done, the penalties of who did not come, and what they say against them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

KINDS = (
    "'PARTY_CREATED', 'PARTY_CANCELED', 'PARTY_CHANGED', 'PARTY_FULL', 'PARTY_DONE', 'CHAT_OPENED',"
    " 'CHAT_MESSAGE', 'JOIN_REQUESTED', 'JOIN_ACCEPTED', 'JOIN_REJECTED', 'MEMBER_LEFT', 'MEMBER_REMOVED',"
    " 'PENALTY_RECEIVED', 'PENALTY_REVOKED', 'PENALTY_UPHELD', 'DELIVERY_MATCHED', 'DELIVERY_UNMATCHED',"
    " 'DELIVERY_PICKED_UP', 'DELIVERY_DELIVERED', 'DELIVERY_CANCELED', 'PURCHASE_SHIPPED',"
    " 'PURCHASE_CONFIRM_REMINDER', 'PURCHASE_CONFIRMED'"
)
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("parties", sa.Column("done_at", INSTANT, nullable=True))
    # What somebody has ended by hand has no event: it was done when it was to end.
    op.execute(
        """
        UPDATE parties SET done_at = coalesce(
            (SELECT max(at) FROM party_events WHERE party_id = parties.id AND kind = 'DONE'), ends_at
        )
        WHERE status = 'DONE'
        """
    )
    op.create_check_constraint(
        op.f("ck_parties_done_has_time"), "parties", "done_at IS NULL OR status = 'DONE'"
    )
    penalties()
    objections()
    for table, column, rule in (
        ("notifications", "kind", f"kind IN ({KINDS})"),
        ("notification_preferences", "kind", f"kind IN ({KINDS})"),
        ("notifications", "subject_kind", "subject_kind IN ('PARTY', 'CHAT', 'MEMBERSHIP', 'PENALTY')"),
    ):
        name = op.f(f"ck_{table}_{column}_known")
        op.drop_constraint(name, table, type_="check")
        op.create_check_constraint(name, table, rule)


def penalties() -> None:
    op.create_table(
        "penalties",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("given_by_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("given_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("revoked_at", INSTANT, nullable=True),
        sa.Column("revoked_by_id", sa.Uuid(), nullable=True),
        sa.Column("revoke_reason", sa.String(length=500), nullable=True),
        sa.CheckConstraint("user_id <> given_by_id", name=op.f("ck_penalties_not_to_oneself")),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_penalties_has_reason")),
        sa.CheckConstraint("given_at < expires_at", name=op.f("ck_penalties_expires_later")),
        sa.CheckConstraint(
            "num_nonnulls(revoked_at, revoked_by_id, revoke_reason) IN (0, 3)",
            name=op.f("ck_penalties_revoked_has_reason"),
        ),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"], name=op.f("fk_penalties_party_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_penalties_user_id")),
        sa.ForeignKeyConstraint(["given_by_id"], ["users.id"], name=op.f("fk_penalties_given_by_id")),
        sa.ForeignKeyConstraint(["revoked_by_id"], ["users.id"], name=op.f("fk_penalties_revoked_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_penalties")),
    )
    op.create_index("uq_penalties_party_id_user_id", "penalties", ["party_id", "user_id"], unique=True)
    op.create_index("ix_penalties_user_id", "penalties", ["user_id", "id"])
    op.create_index(
        "ix_penalties_counting",
        "penalties",
        ["user_id", "expires_at"],
        postgresql_where=sa.text("revoked_at IS NULL"),
    )


def objections() -> None:
    op.create_table(
        "objections",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("penalty_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.String(length=1000), nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("decided_at", INSTANT, nullable=True),
        sa.Column("decided_by_id", sa.Uuid(), nullable=True),
        sa.Column("decision", sa.String(length=32), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.CheckConstraint("decision IN ('UPHELD', 'REVOKED')", name=op.f("ck_objections_decision_known")),
        sa.CheckConstraint("text <> ''", name=op.f("ck_objections_has_text")),
        sa.CheckConstraint(
            "num_nonnulls(decided_at, decided_by_id, decision, reason) IN (0, 4)",
            name=op.f("ck_objections_decided_has_reason"),
        ),
        sa.ForeignKeyConstraint(["penalty_id"], ["penalties.id"], name=op.f("fk_objections_penalty_id")),
        sa.ForeignKeyConstraint(["decided_by_id"], ["users.id"], name=op.f("fk_objections_decided_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_objections")),
    )
    op.create_index("uq_objections_penalty_id", "objections", ["penalty_id"], unique=True)
    op.create_index(
        "ix_objections_open", "objections", ["id"], postgresql_where=sa.text("decided_at IS NULL")
    )
