"""Relay connections over keyset pages."""

from collections.abc import Callable
from typing import Annotated, Generic, TypeVar

import strawberry

from resolvers.pages import LARGEST_PAGE, Page, PageOf
from schema.faults import BadInput

NodeT = TypeVar("NodeT")
RowT = TypeVar("RowT")

First = Annotated[int | None, strawberry.argument(description="How many at most: 20 by default, 1 to 100.")]
After = Annotated[str | None, strawberry.argument(description="A cursor: go on behind it.")]


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    """Relay's PageInfo."""

    has_next_page: bool = strawberry.field(description="Whether more follows behind endCursor.")
    has_previous_page: bool = strawberry.field(description="Whether the page was asked for behind a cursor.")
    start_cursor: str | None = strawberry.field(description="The first edge's cursor; null on an empty page.")
    end_cursor: str | None = strawberry.field(description="The last edge's cursor; null on an empty page.")

    @classmethod
    def of(cls, page: Page[RowT]) -> "PageInfo":
        """What the page says of itself."""
        start, end = (page.cursors[0], page.cursors[-1]) if page.cursors else (None, None)
        return cls(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=start,
            end_cursor=end,
        )


@strawberry.type(description="One element of a list, with its cursor.")
class Edge(Generic[NodeT]):
    """Relay's edge."""

    cursor: str = strawberry.field(description="Names this place in the list, for `after`.")
    node: NodeT = strawberry.field(description="The element itself.")


@strawberry.type(description="One page of a list.")
class Connection(Generic[NodeT]):
    """Relay's connection."""

    edges: list[Edge[NodeT]] = strawberry.field(description="The elements of this page, in the list's order.")
    page_info: PageInfo = strawberry.field(description="Where the page stands in its list.")


def connection(page: Page[RowT], node: Callable[[RowT], NodeT]) -> Connection[NodeT]:
    """Wrap a page of rows as a page of nodes."""
    edges = [Edge(cursor=cursor, node=node(row)) for cursor, row in zip(page.cursors, page.rows, strict=True)]
    return Connection(edges=edges, page_info=PageInfo.of(page))


def page_of(first: int | None, after: str | None) -> PageOf:
    """Which page the client asks for.

    Raises:
        BadInput
    """
    if first is None:
        return PageOf(after=after)
    if not 1 <= first <= LARGEST_PAGE:
        raise BadInput(f"`first` goes from 1 to {LARGEST_PAGE}.")
    return PageOf(first, after)
