"""DICOM basics that every part of the node shares: UIDs, header values, durable files."""
