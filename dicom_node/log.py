"""Logging: one line an event, key=value, the study bound once; patient identity never printed."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import warnings
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from dicom_node.config import LogConfig


def configure(config: LogConfig, process: str) -> None:
    """Send every log line of this process to standard error, each with the process's name."""
    level = getattr(logging, config.level.upper())
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if config.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(process=process)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
    threading.excepthook = _thread_died
    # A tick that is still running is not an event.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    # These two quote values of a data set in their messages, names of patients among them.
    warnings.filterwarnings("ignore", module="pydicom")
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    logging.getLogger("pydicom").disabled = True  # its import would set a level back


def _thread_died(gone: threading.ExceptHookArgs) -> None:
    """Say it in a line: a traceback's message may quote what a peer sent."""
    if gone.exc_value is not None:
        structlog.get_logger().error("thread died", error=where(gone.exc_value))


def where(error: BaseException) -> str:
    """An unexpected error's type and place, without its message, which may quote a patient."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "unknown place"
    return f"{type(error).__name__} at {place}"
