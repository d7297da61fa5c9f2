"""Do once, before the first film, what is slow only the first time."""

from __future__ import annotations

import gc
from io import BytesIO
from typing import TYPE_CHECKING, Protocol

import structlog

from dicom_node import check_objects
from dicom_node.conformance.trial_study import objects_of, trial_film
from dicom_node.log import where

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_node.config import Config
    from dicom_node.ports import Clock

log = structlog.get_logger()


class Networks(Protocol):
    """Networks that can be prepared."""

    def warm_up(self) -> None:
        """Run every network once."""


def warm_up(
    config: Config, networks: Networks, start_decoder: Callable[[], object], clock: Clock
) -> None:
    """Start the decoder's process, run the networks, compose and check a drawn film's objects.

    Then fonts, encoders and templates are loaded, and the collector of garbage looks at none of the
    objects that are there now: to look at all of them takes as long as stage 3. Nothing is stored
    or sent.
    """
    start_decoder()  # it imports its decoders while the networks run
    networks.warm_up()
    try:
        film = trial_film(clock())
        objects = objects_of(film, config, clock())
        for each in objects:
            each.save_as(BytesIO(), enforce_file_format=True)
        check_objects.check(objects, film)
    except Exception as error:  # noqa: BLE001 - a film that fails is recorded, one by one
        log.warning("the first film may be slow", error=where(error))
    gc.collect()
    gc.freeze()
