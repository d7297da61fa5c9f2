"""What one peer, and one address, may send: objects, bytes, pixels and studies in a time window.

The disk is shared: a peer's films may fill a part of it only, so that the common limit
`spool.min_free_mb` is never reached by one peer alone.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dicom_node.domain.values import MOST_PIXELS
from dicom_node.receive.store_status import StoreFault, StoreRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dicom_node.config import QuotasConfig
    from dicom_node.receive.associations import Link
    from dicom_node.receive.disk_space import DiskGuard

_STEPS = 12  # of the window; what was sent is forgotten a step at a time
_REFRESH_SECONDS = 60.0  # between two counts of what the database says of each peer
_MOST_TITLES = 1000  # of one address, each with its own sums; further ones share theirs
_OTHERS = ""  # in place of their AE titles; no AE title is empty
_MIB = 2**20
_MILLION = 10**6


@dataclass(slots=True)
class _Sent:
    """What was sent in each step of the window."""

    objects: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    size: dict[int, int] = field(default_factory=lambda: defaultdict(int))  # bytes
    pixels: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    studies: dict[str, int] = field(default_factory=dict)  # Study Instance UID -> last step
    titles: int = 0  # AE titles of this address

    def forget(self, before: int) -> bool:
        """Remove steps older than this one; return whether nothing is left."""
        for steps in (self.objects, self.size, self.pixels):
            for step in [each for each in steps if each < before]:
                del steps[step]
        self.studies = {uid: step for uid, step in self.studies.items() if step >= before}
        return not (self.objects or self.size or self.pixels or self.studies)


class Quotas:
    """What every peer and address sent within the window; safe to use from all threads.

    Parameters
    ----------
    stored
        Bytes of all stored instances of each calling AE title.
    seconds
        A monotonic clock.
    """

    def __init__(
        self, config: QuotasConfig, stored: Callable[[], Mapping[str, int]],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._config = config
        self._stored = stored
        self._seconds = seconds
        self._lock = threading.Lock()
        self._sent: dict[tuple[str, ...], _Sent] = defaultdict(_Sent)
        self._step = 0
        self._on_disk: dict[str, int] = {}
        self._counted_at: float | None = None

    def begin(self, link: Link, room: int) -> None:
        """Count one object; raises StoreRefused if the peer may not send it now.

        Parameters
        ----------
        room
            Bytes that are free above `spool.min_free_mb`.
        """
        self._refresh()
        with self._lock:
            self._check(link, room)
            for sent in self._of(link).values():
                sent.objects[self._step] += 1

    def grow(self, link: Link, size: int, room: int) -> None:
        """Count so many more bytes; raises StoreRefused if they are too many."""
        with self._lock:
            for sent in self._of(link).values():
                sent.size[self._step] += size
            self._on_disk[link.calling] = self._on_disk.get(link.calling, 0) + size
            self._check(link, room, begins=False)

    def study(self, link: Link, study_instance_uid: str) -> None:
        """Count a study; raises StoreRefused if it is one too many."""
        with self._lock:
            for name, sent in self._of(link).items():
                most = getattr(self._config, f"{name}_studies")
                if study_instance_uid not in sent.studies and most and len(sent.studies) >= most:
                    raise _exceeded(f"{name}_studies")
            for sent in self._of(link).values():
                sent.studies[study_instance_uid] = self._step

    def pixels(self, link: Link, count: int, in_association: int) -> None:
        """Count the pixels of an object; raises StoreRefused if they are too many.

        Parameters
        ----------
        in_association
            Pixels that the association has sent before.
        """
        with self._lock:
            sent = self._of(link)
            sums = {name: sum(each.pixels.values()) for name, each in sent.items()}
            for name, before in {"association": in_association, **sums}.items():
                most = getattr(self._config, f"{name}_mpixels")
                if most and before + count > most * _MILLION:
                    raise _exceeded(f"{name}_mpixels")
            for each in sent.values():
                each.pixels[self._step] += count

    def _of(self, link: Link) -> dict[str, _Sent]:
        """Return what the link's peer and its address sent."""
        step = int(self._seconds() * _STEPS / self._config.window_seconds)
        if step != self._step:
            self._step = step
            oldest = step - _STEPS + 1
            for key in [key for key, sent in self._sent.items() if sent.forget(oldest)]:
                del self._sent[key]
                if len(key) > 1 and (of_address := self._sent.get(key[:1])) is not None:
                    of_address.titles -= 1
        address = self._sent[link.address,]
        title = link.calling
        if (link.address, title) not in self._sent:
            title = title if address.titles < _MOST_TITLES else _OTHERS
            address.titles += (link.address, title) not in self._sent
        return {"peer": self._sent[link.address, title], "address": address}

    def _check(self, link: Link, room: int, *, begins: bool = True) -> None:
        sizes = {}
        for name, sent in self._of(link).items():
            sizes[name] = sum(sent.size.values())
            most = getattr(self._config, f"{name}_objects")
            if begins and most and sum(sent.objects.values()) >= most:
                raise _exceeded(f"{name}_objects")
            most = getattr(self._config, f"{name}_mb")
            if most and sizes[name] > most * _MIB:
                raise _exceeded(f"{name}_mb")
        share = self._config.disk_share
        used = max(self._on_disk.get(link.calling, 0), sizes["address"])
        if share and used > share * (max(room, 0) + used):
            raise _exceeded("disk_share")

    def _refresh(self) -> None:
        """Update what each peer has on disk, once a minute: retention removes studies."""
        now = self._seconds()
        with self._lock:
            due = self._counted_at is None or now - self._counted_at >= _REFRESH_SECONDS
            if not (due and self._config.disk_share):
                return
            self._counted_at = now
        on_disk = dict(self._stored())
        with self._lock:
            self._on_disk = on_disk


class PeerGuard:
    """The limits of one association: the disk's, its peer's and its address's."""

    def __init__(self, disk: DiskGuard, quotas: Quotas, link: Link) -> None:
        self._disk = disk
        self._quotas = quotas
        self._link = link
        self._counted = 0  # bytes of the object that is arriving
        self._pixels = 0  # of the objects before it

    def begin(self) -> None:
        """Raise StoreRefused if no object may come now."""
        self._disk.check()
        self._counted = 0
        self._quotas.begin(self._link, self._disk.room())

    def check(self, size: int) -> None:
        """Raise StoreRefused if the object, now of so many bytes, is too large."""
        self._disk.check(size)
        more, self._counted = size - self._counted, size
        self._quotas.grow(self._link, more, self._disk.room())

    def study(self, study_instance_uid: str) -> None:
        """Raise StoreRefused if the object's study is one too many."""
        self._quotas.study(self._link, study_instance_uid)

    def pixels(self, count: int) -> None:
        """Raise StoreRefused if the object's pixels, by its header, are too many."""
        count = min(count, MOST_PIXELS)  # a larger film costs no decoding
        self._quotas.pixels(self._link, count, self._pixels)
        self._pixels += count


def _exceeded(quota: str) -> StoreRefused:
    return StoreRefused(StoreFault.QUOTA, f"above quotas.{quota}; send again later")
