"""What a party has cost, why it was canceled, who came and who owes what."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("parties", sa.Column("actual_price", sa.Integer(), nullable=True))
    op.add_column("parties", sa.Column("cancel_reason", sa.String(length=32), nullable=True))
    # Until now nothing could end a party; what somebody has ended by hand gets what the rules ask for.
    op.execute("UPDATE parties SET actual_price = coalesce(estimated_price, 0) WHERE status = 'DONE'")
    op.execute("UPDATE parties SET cancel_reason = 'BY_LEADER' WHERE status = 'CANCELED'")
    for name, rule in (
        ("actual_price_range", "actual_price BETWEEN 0 AND 1000000000"),
        ("done_has_price", "(status = 'DONE') = (actual_price IS NOT NULL)"),
        ("canceled_has_reason", "(status = 'CANCELED') = (cancel_reason IS NOT NULL)"),
        (
            "cancel_reason_known",
            "cancel_reason IN ('BY_LEADER', 'TOO_FEW_MEMBERS', 'NOT_COMPLETED', 'LEADER_LEFT')",
        ),
    ):
        op.create_check_constraint(op.f(f"ck_parties_{name}"), "parties", rule)
    op.add_column(
        "memberships",
        sa.Column("attendance", sa.String(length=32), nullable=False, server_default="UNKNOWN"),
    )
    op.alter_column("memberships", "attendance", server_default=None)
    op.add_column("memberships", sa.Column("amount", sa.Integer(), nullable=True))
    for name, rule in (
        ("attendance_known", "attendance IN ('UNKNOWN', 'ATTENDED', 'NO_SHOW')"),
        ("amount_positive", "amount >= 0"),
    ):
        op.create_check_constraint(op.f(f"ck_memberships_{name}"), "memberships", rule)
