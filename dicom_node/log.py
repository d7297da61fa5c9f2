"""The program's log: one line per event as key=value, and never a patient's identity."""

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
    """Write every log line of this process to standard error, with the process's name."""
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
    # That a scheduled task is still running is not worth a line.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    # pydicom and pynetdicom quote values of data sets in their messages, patients' names included.
    warnings.filterwarnings("ignore", module="pydicom")
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    logging.getLogger("pydicom").disabled = True  # its import would set a level back


def _thread_died(gone: threading.ExceptHookArgs) -> None:
    """Log it in one line: the message of a traceback may quote what a peer sent."""
    if gone.exc_value is not None:
        structlog.get_logger().error("thread died", error=where(gone.exc_value))


def where(error: BaseException) -> str:
    """The type and place of an unexpected error, without its message, which may quote a patient."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "unknown place"
    return f"{type(error).__name__} at {place}"
