"""Log lines: for people on a console, as JSON for machines."""

import logging
import logging.config

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor

from app.settings import Settings

# Never the values of local variables: a password may be among them.
_TRACEBACKS = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))


def configure_logs(settings: Settings) -> None:
    """Send everything, our own lines and the libraries', through one format to standard error."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderers: list[Processor] = (
        [_TRACEBACKS, structlog.processors.JSONRenderer(ensure_ascii=False)]
        if settings.log_format == "json"
        else [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "all": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": shared,
                    "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
                }
            },
            "handlers": {"all": {"class": "logging.StreamHandler", "formatter": "all"}},
            "root": {"handlers": ["all"], "level": settings.log_level.upper()},
            "loggers": {
                # One line for each request is the load balancer's business.
                "uvicorn.access": {"level": "WARNING"},
                # Which tells of every socket that opens and closes.
                "uvicorn.error": {"level": "DEBUG" if settings.log_level == "debug" else "WARNING"},
                "alembic": {"level": "WARNING"},
                "sqlalchemy": {"level": "WARNING"},
            },
        }
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
