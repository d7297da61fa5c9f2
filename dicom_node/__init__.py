"""A DICOM node that reads frontal chest radiographs. Research software, not a medical device."""

__version__ = "0.2.0"

#: Manufacturer's Model Name of whatever this node writes; by it the node knows its own again.
MODEL_NAME = "dicom-node"

#: Who writes files and opens associations (PS3.7 D.3.3.2); the same for every version.
IMPLEMENTATION_CLASS_UID = "2.25.171923610300149098726691220556487119550"
IMPLEMENTATION_VERSION_NAME = f"DICOMNODE_{__version__}"[:16]  # PS3.5 6.2, VR SH
