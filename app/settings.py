"""Every setting of the server. The only place that reads the environment."""

import secrets
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

ROOT = Path(__file__).resolve().parent.parent


class MissingSetting(Exception):
    """A setting without which the server can't start."""


class Settings(BaseSettings):
    """What can be set, by environment variables or an `.env` file in the folder of the call."""

    model_config = SettingsConfigDict(
        env_prefix="GONGGU_", env_file=".env", extra="ignore", frozen=True, populate_by_name=True
    )

    database_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("DATABASE_URL", "GONGGU_DATABASE_URL"),
        description="PostgreSQL 15 or newer: `postgresql://user:password@host/name`. Else embedded.",
    )
    redis_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("REDIS_URL", "GONGGU_REDIS_URL"),
        description="Redis 7, Valkey 8 or newer: `redis://host:6379/0`, `unix:///path`. Else embedded.",
    )
    secret_key: str | None = Field(
        default=None,
        min_length=32,
        validation_alias=AliasChoices("SECRET_KEY", "GONGGU_SECRET_KEY"),
        description="Signs tokens, 32 characters or more. Made by itself only without DATABASE_URL.",
    )
    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: int = Field(
        default=8000,
        ge=0,
        le=65535,
        validation_alias=AliasChoices("PORT", "GONGGU_PORT"),
        description="The port to listen on; 0 lets the system choose.",
    )
    data_dir: Path = Field(
        default=ROOT / ".gonggu", description="Where the embedded servers keep their data."
    )
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Web pages of other origins that may call, separated by commas: `https://app.example`.",
    )
    jobs: Literal["internal", "external"] = Field(
        default="internal",
        validation_alias=AliasChoices("JOBS", "GONGGU_JOBS"),
        description="Whether the server runs background work itself, or `python -m app work` does.",
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        default=(),
        description="Proxies whose X-Forwarded-For counts, separated by commas: `10.0.0.0/8, 192.0.2.1`.",
    )
    sign_in_attempts: int = Field(
        default=10,
        ge=1,
        le=10_000,
        description="Wrong passwords a minute for one account, and from one address; then none is looked at.",
    )
    access_token_minutes: int = Field(
        default=15, ge=1, le=1440, description="How long an access token is good."
    )
    refresh_token_days: int = Field(
        default=30, ge=1, le=365, description="How long a session lives without being used."
    )
    database_pool: int = Field(
        default=10, ge=1, le=200, description="Connections to PostgreSQL that one process keeps."
    )
    database_wait_s: float = Field(
        default=5, gt=0, description="Seconds to wait for a connection to PostgreSQL, or for a free one."
    )
    redis_wait_s: float = Field(default=2, gt=0, description="Seconds to wait for an answer of Redis.")
    max_body_bytes: int = Field(default=1024 * 1024, ge=1024, description="The longest HTTP request body.")
    max_json_depth: int = Field(default=100, ge=5, description="The deepest nesting of a request's JSON.")
    max_message_bytes: int = Field(default=128 * 1024, ge=1024, description="The longest WebSocket message.")
    max_characters: int = Field(default=100_000, ge=100, description="The longest GraphQL document.")
    max_tokens: int = Field(default=2000, ge=100, description="The most tokens in a GraphQL document.")
    max_operations: int = Field(default=5, ge=1, description="The most operations in a document.")
    max_depth: int = Field(default=15, ge=1, description="The most levels of fields within each other.")
    max_aliases: int = Field(default=30, ge=0, description="The most aliases in an operation.")
    max_directives: int = Field(default=50, ge=0, description="The most directives in an operation.")
    max_root_fields: int = Field(default=30, ge=1, description="The most fields of an operation's root.")
    max_fields: int = Field(
        default=5000, ge=1, description="The most fields of a document, with its fragments written out."
    )
    max_repeats: int = Field(
        default=3000, ge=0, description="The most pairs of fields in one place: `{a a a}` has three."
    )
    max_cost: int = Field(
        default=5000, ge=1, description="The most an operation may cost: a field is 1, a list times its rows."
    )
    max_subscriptions: int = Field(default=100, ge=1, description="Operations at once on one WebSocket.")
    max_streams: int = Field(
        default=10_000, ge=1, description="Streams (Server-Sent Events, multipart) at once in one process."
    )
    execution_s: float = Field(default=10, gt=0, description="Seconds that a query or mutation may take.")
    connection_init_s: float = Field(
        default=10, gt=0, description="Seconds until a WebSocket must say who it is."
    )
    ping_every_s: float = Field(default=20, gt=0, description="Seconds between the server's pings.")
    pong_within_s: float = Field(default=20, gt=0, description="Seconds until a ping must be answered.")
    keep_alive_s: float = Field(
        default=12, gt=0, description="Seconds between signs of life on a stream where nothing happens."
    )
    drain_s: float = Field(
        default=20, ge=0, description="Seconds over which sockets are closed when the server stops."
    )
    log_format: Literal["console", "json"] = Field(default="console", description="How log lines look.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Which log lines are written."
    )

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())
        return value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
        except ValueError as problem:
            raise ValueError(f"{problem}; write addresses or networks, such as 10.0.0.0/8") from None

    @field_validator("database_url")
    @classmethod
    def _with_driver(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            url = make_url(value)
        except (ArgumentError, ValueError):
            raise ValueError("write it as postgresql://user:password@host:5432/name") from None
        if url.drivername not in {"postgres", "postgresql", "postgresql+asyncpg"}:
            raise ValueError("PostgreSQL is the one database that Gonggu speaks to")
        url = url.set(drivername="postgresql+asyncpg")
        if "sslmode" in url.query:
            # libpq's name for what asyncpg calls ssl.
            url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": url.query["sslmode"]})
        return url.render_as_string(hide_password=False)

    @property
    def access_lifetime(self) -> timedelta:
        """How long an access token is good."""
        return timedelta(minutes=self.access_token_minutes)

    @property
    def refresh_lifetime(self) -> timedelta:
        """How long a session lives without being used."""
        return timedelta(days=self.refresh_token_days)

    def signing_key(self) -> str:
        """The secret that signs tokens: the one set; on the embedded database one of this folder's own.

        Raises:
            MissingSetting
        """
        if self.secret_key is not None:
            return self.secret_key
        if self.database_url is not None:
            raise MissingSetting(
                "SECRET_KEY is not set. With DATABASE_URL it has to be: 32 characters or more, the same for "
                'every process. Make one: python3 -c "import secrets; print(secrets.token_urlsafe(48))"'
            )
        path = self.data_dir / "secret-key"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(48))
        return path.read_text()
