"""Log lines: JSON for machines, or text for a terminal. Ours carry codes and numbers, no names and no secrets."""

from __future__ import annotations

from typing import Any

import structlog

from streams.settings import Settings

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def logging_config(settings: Settings) -> dict[str, Any]:
    """For `logging.config.dictConfig`; also makes structlog write through it."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        "foreign_pre_chain": _SHARED,
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": formatter},
        # Two alike: Faust sets the level of the root's handler, by -l. Ours is LOG_LEVEL.
        "handlers": {name: {"class": "logging.StreamHandler", "formatter": "line"} for name in ("faust", "ours")},
        "root": {"handlers": ["faust"], "level": "WARNING"},
        "loggers": {
            "streams": {"handlers": ["ours"], "level": settings.log_level.upper(), "propagate": False},
            **{name: {"level": "WARNING"} for name in ("faust", "mode", "aiokafka", "httpx", "httpcore", "pymongo")},
        },
    }
