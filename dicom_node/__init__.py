"""A DICOM node that reads frontal chest radiographs. Research software, not a medical device."""

__version__ = "0.1.0"

#: Manufacturer's Model Name of whatever this node writes; by it the node knows its own again.
MODEL_NAME = "dicom-node"
