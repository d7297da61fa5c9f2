"""What every part of the node needs to know about DICOM data elements."""
