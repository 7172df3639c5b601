"""How much a client may ask of the transports, and for how long."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class TransportLimits:
    """Bytes are counted before decoding, seconds on the loop's clock."""

    max_body_bytes: int = MIB
    max_json_depth: int = 100
    body_s: float = 10.0
    """From the first byte of the body that we ask for to the last."""

    execution_s: float = 10.0
    """For a query or a mutation, the making of its context included."""

    max_message_bytes: int = 128 * KIB
    max_id_characters: int = 256
    """Every message of an operation repeats its id, so a long one is a lever."""

    max_subscriptions: int = 100
    """Operations running on one socket, of any kind."""

    connection_init_s: float = 10.0
    ping_every_s: float = 20.0
    pong_within_s: float = 20.0

    max_waiting_messages: int = 256
    max_waiting_bytes: int = MIB
    """Above either, the operations of a socket wait for their reader."""

    send_s: float = 20.0
    """A peer that takes no byte for so long has stopped reading and is cut off."""

    max_streams: int = 10_000
    """Subscriptions by event stream or in parts, in one process."""

    keep_alive_s: float = 12.0
    """Between signs of life on a stream, which has no pings. Proxies cut what is silent for long."""

    close_s: float = 5.0
    """For the close frame to leave, and for cancelled operations to clean up."""
