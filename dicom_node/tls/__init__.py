"""TLS as the DICOM security profiles ask for it: contexts, certificates, client connections."""
