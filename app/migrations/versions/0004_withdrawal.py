"""People can withdraw: what is personal may be absent, and is, exactly when they have."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import UserDefinedType

revision = "0004"
down_revision = "0003"

PERSONAL = ("email", "password_hash", "home_address", "home_region", "home_latitude", "home_longitude")


class Cube(UserDefinedType[str]):
    """The type of the extension `cube`."""

    def get_col_spec(self, **kw: object) -> str:
        """Its name."""
        return "cube"


def upgrade() -> None:
    op.add_column("users", sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True))
    # PostgreSQL changes the expression of a column from 17 on only: it is made anew, and its index with it.
    op.drop_column("users", "position")
    for column in PERSONAL:
        op.alter_column("users", column, nullable=True)
    op.add_column(
        "users",
        sa.Column(
            "position",
            Cube(),
            sa.Computed(
                "CASE WHEN home_latitude IS NULL THEN NULL::cube ELSE cube(ARRAY[cos(radians(home_latitude)) * cos(radians(home_longitude)), cos(radians(home_latitude)) * sin(radians(home_longitude)), sin(radians(home_latitude))]) END",
                persisted=True,
            ),
            nullable=True,
        ),
    )
    op.create_index("ix_users_position", "users", ["position"], unique=False, postgresql_using="gist")
    for name, rule in (
        (
            "withdrawn_is_erased",
            f"num_nonnulls({', '.join(PERSONAL)}) = CASE WHEN withdrawn_at IS NULL THEN 6 ELSE 0 END",
        ),
        ("withdrawn_is_nobody", "withdrawn_at IS NULL OR nickname LIKE '탈퇴한 이웃 %' AND role = 'USER'"),
    ):
        op.create_check_constraint(op.f(f"ck_users_{name}"), "users", rule)
