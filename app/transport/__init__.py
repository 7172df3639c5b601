"""GraphQL over HTTP and graphql-transport-ws: bytes in, bytes out, and nothing of the domain.

How they are split, and why we have our own: ``docs/adr/0009-own-graphql-transports.md``.
"""

from app.transport.context import ConnectionRefused, FormatError, MakeContext, OperationContext
from app.transport.documents import Documents
from app.transport.endpoint import GraphQLEndpoint
from app.transport.errors import Code
from app.transport.executor import EventExecutor
from app.transport.limits import TransportLimits

__all__ = [
    "Code",
    "ConnectionRefused",
    "Documents",
    "EventExecutor",
    "FormatError",
    "GraphQLEndpoint",
    "MakeContext",
    "OperationContext",
    "TransportLimits",
]
