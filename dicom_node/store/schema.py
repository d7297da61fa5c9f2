"""The tables. A test compares the migrations with them."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time as ISO 8601 text of fixed width, so that text order is time order."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Convert to text."""
        return None if value is None else iso(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """Convert from text."""
        return None if value is None else datetime.fromisoformat(value)


def iso(at: datetime) -> str:
    """ISO 8601 in UTC, always with microseconds: 2026-01-02T03:04:05.000000+00:00."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

UID = String(64)  # PS3.5 6.2, VR UI

studies = Table(
    "studies",
    metadata,
    Column("study_instance_uid", UID, primary_key=True),
    Column("first_received_at", UtcTime, nullable=False),
    Column("last_received_at", UtcTime, nullable=False),
    Column("revision", Integer, nullable=False, default=0),  # of the newest job
    Column("patient_key", String(64)),  # `PatientKey`; NULL for a study of an older version
    Column("accession_key", String(20)),  # `accession_key`; NULL: none, or of an older version
    Index(None, "last_received_at"),
    Index(None, "patient_key"),
    Index(None, "accession_key"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_instance_uid", UID, ForeignKey("studies.study_instance_uid"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempt", Integer, nullable=False, default=0),
    Column("created_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("owner", String(64)),
    Column("lease", String(36)),
    Column("lease_until", UtcTime),
    Column("started_at", UtcTime),  # of the newest attempt
    Column("finished_at", UtcTime),
    Column("last_reason", Text),
    UniqueConstraint("study_instance_uid", "revision"),
    Index(None, "status", "due_at"),
)

instances = Table(
    "instances",
    metadata,
    Column("sop_instance_uid", UID, primary_key=True),
    Column("sop_class_uid", UID, nullable=False),
    Column("study_instance_uid", UID, ForeignKey("studies.study_instance_uid"), nullable=False),
    Column("series_instance_uid", UID, nullable=False),
    Column("transfer_syntax_uid", UID, nullable=False),
    Column("path", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("calling_ae_title", String(16), nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("priority", Integer, nullable=False, default=0, server_default="0"),  # `values.ROUTINE`
    Column("decision", String(16), nullable=False),  # undecided, read, refused
    Column("refusal_code", String(32)),
    Column("refusal_reason", Text),
    Column("job_id", Integer, ForeignKey("jobs.id")),  # the job that decides on it
    Index(None, "study_instance_uid"),
    Index(None, "decision", "job_id"),
)

conflicts = Table(
    "conflicts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sop_instance_uid", UID, nullable=False),
    Column("study_instance_uid", UID, nullable=False),  # of the second object
    Column("kept_study_instance_uid", UID, nullable=False),  # of the first
    Column("sha256", String(64), nullable=False),
    Column("calling_ae_title", String(16), nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("outcome", String(16), nullable=False),  # `ConflictOutcome`
    Column("path", Text),
    Index(None, "sop_instance_uid"),
    Index(None, "study_instance_uid"),
    Index(None, "kept_study_instance_uid"),
)

readings = Table(
    "readings",
    metadata,
    Column("sop_instance_uid", UID, ForeignKey("instances.sop_instance_uid"), primary_key=True),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False),
    Column("read_at", UtcTime, nullable=False),
    Column("summary", JSON, nullable=False),
    Column("film_date", String(10)),  # ISO 8601; NULL: not stated, or of an older version
    # `FilmTraits`; NULL: of an older version, or (decade) not known
    Column("modality", String(16)),
    Column("view", String(16)),
    Column("decade", Integer),
)

# The newest verdict of a study, by `given_at`, supersedes the others.
verdicts = Table(
    "verdicts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_instance_uid", UID, ForeignKey("studies.study_instance_uid"), nullable=False),
    Column("finding", String(16), nullable=False),  # `Finding`
    Column("source", String(16), nullable=False),  # `Source`
    Column("given_at", UtcTime, nullable=False),
    Column("given_by", String(64), nullable=False),  # a number or login as given, or its digest
    Column("stored_at", UtcTime, nullable=False),
    Column("rule", String(32), nullable=False, server_default=""),  # that read the report
    Column("message_key", String(20), nullable=False, server_default=""),  # `message_key`
    Index(None, "study_instance_uid", "given_at"),
    Index(None, "given_at"),
)

# What the candidate (`models.shadow`) made of films that were read; nothing of it leaves the node.
shadow_readings = Table(
    "shadow_readings",
    metadata,
    Column("sop_instance_uid", UID, ForeignKey("instances.sop_instance_uid"), primary_key=True),
    Column("model_digest", String(64), primary_key=True),  # `ModelIdentity.digest`
    Column("model_version", Text, nullable=False),
    Column("learned_before", String(10)),  # ISO 8601; NULL: it learned from no film of this node
    Column("begun_at", UtcTime, nullable=False),
    Column("read_at", UtcTime),  # NULL: under way, or failed
    Column("summary", JSON(none_as_null=True)),  # NULL: not read
    Column("refusal_code", String(32)),  # of the candidate's gate
    Column("fault", Text),  # why reading failed
    Index(None, "model_digest", "begun_at"),
)

# Versions that a person put in the place of the configured one; the newest open row is in use.
promotions = Table(
    "promotions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("promoted_at", UtcTime, nullable=False),
    Column("promoted_by", String(64), nullable=False),  # login name
    Column("model_version", Text, nullable=False),
    Column("model_digest", String(64), nullable=False),
    Column("folder", Text, nullable=False),  # below the data folder
    Column("reason", Text),  # of `--even-so`
    Column("evidence", JSON, nullable=False),  # `Comparison.as_json`, without the studies
    Column("ended_at", UtcTime),  # rolled back
)

results = Table(
    "results",
    metadata,
    Column("sop_instance_uid", UID, primary_key=True),
    Column(
        "source_sop_instance_uid", UID, ForeignKey("instances.sop_instance_uid"), nullable=False
    ),
    Column("study_instance_uid", UID, nullable=False),
    Column("sop_class_uid", UID, nullable=False),
    Column("series_instance_uid", UID, nullable=False),
    Column("modality", String(16), nullable=False),
    Column("series_description", String(64), nullable=False),
    Column("path", Text, nullable=False),
    Column("composed_at", UtcTime, nullable=False),
    Column("editions", JSON, nullable=False, server_default='["full"]'),
    Column("sent_study_instance_uid", UID),  # in the object, if not the film's
    Index(None, "study_instance_uid"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sop_instance_uid", UID, ForeignKey("results.sop_instance_uid"), nullable=False),
    Column("study_instance_uid", UID, nullable=False),
    Column("destination", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempt", Integer, nullable=False, default=0),
    Column("due_at", UtcTime, nullable=False),
    Column("owner", String(64)),
    Column("lease", String(36)),
    Column("lease_until", UtcTime),
    Column("last_status_code", Integer),  # DIMSE status of the last attempt
    Column("last_reason", Text),
    Column("accepted_at", UtcTime),
    Column("confirm_at", UtcTime),  # accepted: when to verify; null: not any more
    Column("transaction_uid", UID),  # of the newest request for commitment
    Column("asked", Integer, nullable=False, default=0, server_default="0"),  # times unanswered
    Column("missed", Integer, nullable=False, default=0, server_default="0"),  # times not kept
    Column("committed_at", UtcTime),
    Column("committed_by", String(16)),  # commitment, query or file
    UniqueConstraint("sop_instance_uid", "destination"),
    Index(None, "status", "due_at"),
    Index(None, "status", "confirm_at"),
    Index(None, "study_instance_uid", "destination"),
    Index(None, "destination", "status"),
)

# Each storage commitment this node requested; an answer to an older one is valid too.
commitments = Table(
    "commitments",
    metadata,
    Column("transaction_uid", UID, primary_key=True),
    Column("study_instance_uid", UID, nullable=False),
    Column("destination", String(64), nullable=False),
    Column("requested_at", UtcTime, nullable=False),
)

# Each storage commitment a peer requested. The table keeps its name of version 0.1.0.
commitment_requests = Table(
    "pledges",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("transaction_uid", UID, nullable=False),
    Column("ae_title", String(16), nullable=False),
    Column("items", JSON, nullable=False),  # [[SOP Class UID, SOP Instance UID], ...]
    Column("status", String(16), nullable=False),
    Column("attempt", Integer, nullable=False, default=0),
    Column("asked_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("owner", String(64)),
    Column("lease", String(36)),
    Column("lease_until", UtcTime),
    Column("last_reason", Text),
    UniqueConstraint("transaction_uid", "ae_title"),
    Index(None, "status", "due_at"),
)

breakers = Table(
    "breakers",
    metadata,
    Column("destination", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),  # in a row
    Column("opened_at", UtcTime),  # null: closed
    Column("probe_at", UtcTime),  # open: when to test the connection
    Column("last_reason", Text, nullable=False),
    Index(None, "probe_at"),
)

# Up to which audit line each receiver of audit messages has them.
audit_positions = Table(
    "trail_positions",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("sequence", Integer, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("study_instance_uid", UID),
    Column("sop_instance_uid", UID),
    Column("detail", Text, nullable=False),  # canonical JSON, as it was hashed
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index(None, "study_instance_uid"),
    Index(None, "kind", "at"),
)
