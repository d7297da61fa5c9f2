"""Sends audit lines to an audit repository: DICOM Audit Messages over syslog (PS3.15 A.5)."""
