"""The audit log: signed checkpoints, events that must not stop work, DICOM audit messages."""
