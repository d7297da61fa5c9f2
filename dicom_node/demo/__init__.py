"""`dicom-node demo`: a small PACS and the demonstration itself."""
