"""Whether Redis may be believed about penalties: see `resolvers.penalty_doubts`."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("CREATE SEQUENCE penalty_doubts AS bigint MINVALUE 0 START 0")
