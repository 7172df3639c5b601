"""Values that GraphQL does not know by itself."""

from datetime import UTC, datetime

import strawberry
from graphql import GraphQLError


def _parse_instant(value: object) -> datetime:
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            if moment.utcoffset() is not None:
                # The first and the last hours of the calendar exist in some time zones only.
                return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise GraphQLError("Write a time as ISO 8601 with its offset, such as 2026-12-01T19:30:00+09:00.")


DateTime = strawberry.scalar(
    name="DateTime",
    description="A moment: ISO 8601 with an offset, such as 2026-12-01T19:30:00+09:00. Answers are in UTC.",
    specified_by_url="https://datatracker.ietf.org/doc/html/rfc3339",
    serialize=datetime.isoformat,
    parse_value=_parse_instant,
)
