"""Section 8: access control, secure transport and other security features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.conformance.markdown import bullets, heading, table
from dicom_node.tls.context import CIPHERS, LOWEST, PROFILES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_node.conformance.created import Created


def security(created: Created) -> Iterator[str]:
    """Section 8."""
    node, tls = created.config.node, created.config.tls
    yield heading("8", "Security")
    yield heading("8.1", "Introduction")
    yield (
        "The node supports DICOM over TLS if configured, with or without plain DICOM beside it. "
        "What it receives and creates is stored unencrypted in `node.data_dir`.\n"
    )
    yield heading("8.2", "External Network Requirements")
    yield (
        "DNS, if hosts are configured by name. The machine's clock should be synchronised: objects "
        "and audit lines carry its time.\n"
    )
    yield heading("8.3", "TCP Port Configuration")
    yield table(
        ("Port", "Direction", "Protocol"),
        [
            (node.port if created.config.plain_is_open else "closed", "in", "DICOM Upper Layer"),
            (
                tls.port or "closed",
                "in",
                "DICOM Upper Layer over TLS (`tls.port`; 2762 is registered)",
            ),
            ("of each destination", "out", "DICOM Upper Layer, plain or over TLS; HTTP or HTTPS"),
        ],
    )
    yield heading("8.4", "DICOM Security Profiles Support")
    yield table(
        ("Profile", "Support"),
        [
            ("8.4.1 Secure Use and User Identity Profiles", "none; user identity see 8.5"),
            (
                "8.4.2 Secure Transport Connection Profiles",
                f"{PROFILES[tls.profile]}; HTTPS see 8.6",
            ),
            ("8.4.3 Media Storage Security Profiles", "none"),
            ("8.4.4 Attribute Confidentiality Profiles", "none"),
            ("8.4.5 Digital Signature Profiles", "none"),
            ("8.4.6 Additional Security Profiles", "none"),
        ],
    )
    yield from _transport(created)
    yield heading("8.5", "User Identity Negotiation Support")
    yield (
        "As acceptor: user name and passcode (type 2, PS3.7 D.3.3.7), checked against "
        "`node.users_file` if it is set; no positive response is sent. As initiator: none.\n"
    )
    yield heading("8.6", "Web Services Security Features")
    yield bullets(
        [
            "HTTPS uses the TLS library of the Python installation. The certificate of the service "
            "is always verified, against the public authorities or the configured ones.",
            "A bearer token (RFC 6750) comes from a file or an environment variable and is read "
            "again for each study. Over plain HTTP it is sent to the same machine only. It is "
            "never logged.",
        ]
    )
    yield heading("8.7", "Other Security Features")
    yield bullets(
        [
            "Calling AE titles and addresses can be restricted (`node.allowed_calling`), and the "
            "called AE title can be checked (`node.require_called`).",
            "Every step is in an audit log without patient identity. Its lines are chained by "
            "hashes, and checkpoints outside the database, signed if a key is configured, prove "
            "them (`dicom-node audit verify`).",
            "Compressed pixels are decoded in a separate process of limited memory and time; if it "
            "fails, the node goes on.",
            "Secrets are in files or in the environment, never in the configuration or a log.",
            "Nothing that a peer sends becomes part of a path unless it is a UID.",
        ]
    )


def _transport(created: Created) -> Iterator[str]:
    """How TLS is used, for 8.4.2."""
    tls = created.config.tls
    signed = "must present a certificate signed by an authority of `tls.ca_file` (mutual TLS)"
    callers = signed if tls.mutual else "need no certificate"
    yield "TLS, as acceptor and as initiator of associations:\n"
    yield table(
        ("Parameter", "Value"),
        [
            ("Profile", f"`{tls.profile}` ({', '.join(f'`{name}`' for name in PROFILES)})"),
            ("Lowest version", LOWEST[tls.profile].name.replace("TLSv1_", "TLS 1.")),
            ("Cipher suites of TLS 1.2", ", ".join(CIPHERS.split(":")[:-1])),
            ("Cipher suites of TLS 1.3", "those of OpenSSL"),
            ("Keys", "RSA of 2048 bits or more, elliptic curves of 224 or more"),
            ("Callers", callers),
            (
                "Destinations",
                "must present a certificate with their host name or `tls_name`",
            ),
            ("Key management", "PEM files, read again when they change; the key may be encrypted"),
            ("Revocation lists, OCSP", "not supported"),
        ],
    )
