"""Verdicts come in, from spreadsheets, HL7 messages and reports; no text of a report is kept."""
