"""What can go wrong, drawn as a tree: the type says what to do next.

::

    NodeError
    ├ ConfigError              stop at start-up; lists every mistake
    ├ DatabaseDamaged          stop at start-up; a person restores a copy, nothing is overwritten
    ├ ModelError               weights missing or altered; the node does not start
    ├ Refused                  not ours to read: audit the reason, never retry
    │ ├ NotAFrontalChestFilm
    │ └ UnreadablePixels
    ├ DeliveryError
    │ ├ PeerUnavailable        retry with backoff
    │ └ PeerRefused            the same bytes would be refused again: hold for a person
    ├ LeaseLost                somebody else owns this work now: drop it, send nothing
    └ AuditError               no audit, no work: stop accepting
"""


class NodeError(Exception):
    """Everything this node raises on purpose."""


class ConfigError(NodeError):
    """The configuration cannot be used; the message lists every mistake."""


class DatabaseDamaged(NodeError):
    """The database file is not as SQLite wrote it; `database-damaged` stands in the message."""


class ModelError(NodeError):
    """A network's weights are missing, altered or unknown to the manifest."""


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
    """The header says this is not one frontal chest radiograph."""


class UnreadablePixels(Refused):
    """The pixels cannot be decoded into one grayscale film."""


class DeliveryError(NodeError):
    """An object did not reach its destination."""


class PeerUnavailable(DeliveryError):
    """The peer did not answer, or said "not now"; the same bytes may pass later."""


class PeerRefused(DeliveryError):
    """The peer said no for good (PS3.4 B.2.3 failure); a person must look."""


class LeaseLost(NodeError):
    """The lease on this work has passed to somebody else."""


class AuditError(NodeError):
    """The audit trail cannot be written or does not verify."""
