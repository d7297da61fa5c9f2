"""Every DICOM file of public collections goes through the node's pipeline: ``python -m field``."""
