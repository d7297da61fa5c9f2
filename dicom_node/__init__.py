"""A DICOM node that reads frontal chest radiographs. Research software, not a medical device."""

__version__ = "0.1.0"
