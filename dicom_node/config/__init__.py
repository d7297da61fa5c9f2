"""The node's configuration: read once, frozen, passed on by section.

Import from this package, not from its modules.
"""

from __future__ import annotations

from dicom_node.config.destinations import (
    Destination,
    DicomDestination,
    FhirDestination,
    FolderDestination,
    Hl7Destination,
    MessageRecipient,
    WebDestination,
    WebService,
)
from dicom_node.config.loading import load
from dicom_node.config.root import (
    CallingPeer,
    Config,
    DeliveryConfig,
    GateConfig,
    LogConfig,
    ModelsConfig,
    NodeConfig,
    ReportConfig,
    ResultsConfig,
    SelectConfig,
    StudyConfig,
    WorkersConfig,
)
from dicom_node.config.sections import (
    AlertsConfig,
    AuditConfig,
    HttpConfig,
    MailConfig,
    PriorityConfig,
    QuotasConfig,
    ReceiveConfig,
    RepositoryConfig,
    RetentionConfig,
    Section,
    SpoolConfig,
    StoreConfig,
    TlsConfig,
    TlsProfile,
    WebhookConfig,
)
from dicom_node.config.thresholds import ThresholdOverride, ThresholdsConfig
from dicom_node.config.verdicts import MllpConfig, VerdictsConfig

__all__ = [
    "AlertsConfig",
    "AuditConfig",
    "CallingPeer",
    "Config",
    "DeliveryConfig",
    "Destination",
    "DicomDestination",
    "FhirDestination",
    "FolderDestination",
    "GateConfig",
    "Hl7Destination",
    "HttpConfig",
    "LogConfig",
    "MailConfig",
    "MessageRecipient",
    "MllpConfig",
    "ModelsConfig",
    "NodeConfig",
    "PriorityConfig",
    "QuotasConfig",
    "ReceiveConfig",
    "ReportConfig",
    "RepositoryConfig",
    "ResultsConfig",
    "RetentionConfig",
    "Section",
    "SelectConfig",
    "SpoolConfig",
    "StoreConfig",
    "StudyConfig",
    "ThresholdOverride",
    "ThresholdsConfig",
    "TlsConfig",
    "TlsProfile",
    "VerdictsConfig",
    "WebDestination",
    "WebService",
    "WebhookConfig",
    "WorkersConfig",
    "load",
]
