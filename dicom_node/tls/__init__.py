"""TLS by the DICOM security profiles: contexts, certificates, client connections."""
