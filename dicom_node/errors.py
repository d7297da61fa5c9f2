"""The errors that the node raises on purpose. The type says what the caller does next.

::

    NodeError
    ├ ConfigError              stop at start-up; the message lists every mistake
    ├ DatabaseDamaged          stop at start-up; a person restores a backup
    ├ ModelError               stop at start-up: weights are missing or altered
    ├ Refused                  do not read this film and do not retry; audit the reason
    │ ├ NotAFrontalChestFilm
    │ └ UnreadablePixels
    ├ DeliveryError
    │ ├ PeerUnavailable        retry with backoff
    │ └ PeerRefused            hold: the same bytes would be refused again
    ├ LeaseLost                drop the work: another process holds it now
    ├ StoreWriteError          stop accepting: what is not written down must not be done
    └ AuditLineAltered         an audit line cannot be read: see `dicom-node audit verify`

Errors that never leave their package are defined there.
"""


class NodeError(Exception):
    """Any error that this node raises on purpose; the message is one sentence for a person."""


class ConfigError(NodeError):
    """The configuration cannot be used; the message lists every mistake."""


class DatabaseDamaged(NodeError):
    """The database file is damaged; the message begins with `database-damaged`."""


class ModelError(NodeError):
    """A network's weights are missing, altered or not in the manifest."""


class Refused(NodeError):
    """The node will not read this instance.

    Parameters
    ----------
    code
        A `dicom_node.domain.values.RefusalCode` value, stable across releases.
    reason
        One sentence for a person, without patient identity.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class NotAFrontalChestFilm(Refused):
    """The header says that this is not one frontal chest radiograph."""


class UnreadablePixels(Refused):
    """The pixels cannot be decoded into one grayscale image."""


class DeliveryError(NodeError):
    """An object did not reach its destination."""


class PeerUnavailable(DeliveryError):
    """The peer did not answer, or has no resources now; a later attempt may succeed."""


class PeerRefused(DeliveryError):
    """The peer refused the object with a failure status (PS3.4 B.2.3)."""


class LeaseLost(NodeError):
    """Another process holds the lease on this work."""


class StoreWriteError(NodeError):
    """The database cannot be written; nothing of the step was, its audit lines included."""


class AuditLineAltered(NodeError):
    """An audit line was altered so that it cannot be read."""
