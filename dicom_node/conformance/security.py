"""Section 8: who may do what, and how it is kept from others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.conformance.markdown import bullets, heading, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_node.conformance.created import Created


def security(created: Created) -> Iterator[str]:
    """Section 8."""
    node = created.config.node
    yield heading("8", "Security")
    yield heading("8.1", "Introduction")
    yield (
        "The node is meant for a network that is secured as a whole. It keeps what it receives and "
        "creates unencrypted in `node.data_dir`.\n"
    )
    yield heading("8.2", "External Network Requirements")
    yield (
        "DNS, where hosts are configured by name. The clock of the machine should be synchronised: "
        "objects and audit lines carry its time.\n"
    )
    yield heading("8.3", "TCP Port Configuration")
    yield table(
        ("Port", "Direction", "Protocol"),
        [
            (node.port, "in", "DICOM Upper Layer"),
            ("of each destination", "out", "DICOM Upper Layer, HTTP or HTTPS"),
        ],
    )
    yield heading("8.4", "DICOM Security Profiles Support")
    yield table(
        ("Profile", "Support"),
        [
            ("8.4.1 Secure Use and User Identity Profiles", "none"),
            ("8.4.2 Secure Transport Connection Profiles", "none for DIMSE; HTTPS see 8.6"),
            ("8.4.3 Media Storage Security Profiles", "none"),
            ("8.4.4 Attribute Confidentiality Profiles", "none"),
            ("8.4.5 Digital Signature Profiles", "none"),
            ("8.4.6 Additional Security Profiles", "none"),
        ],
    )
    yield heading("8.5", "User Identity Negotiation Support")
    yield "None, neither as initiator nor as acceptor.\n"
    yield heading("8.6", "Web Services Security Features")
    yield bullets(
        [
            "HTTPS by the TLS of the Python it runs on. The certificate of the service is always "
            "checked, against the public authorities or those configured.",
            "A bearer token (RFC 6750) from a file or an environment variable, read anew for each "
            "study; over plain HTTP it is sent to the same machine only. It is in no log.",
        ]
    )
    yield heading("8.7", "Other Security Features")
    yield bullets(
        [
            "Calling AE titles and addresses can be limited (`node.allowed_calling`), and the "
            "called AE title checked (`node.require_called`).",
            "Each step is in an audit log whose lines are chained by hashes "
            "(`dicom-node audit verify`), without patient identity.",
            "Nothing a peer sends becomes part of a path before it is known to be a UID.",
        ]
    )
