"""Results as messages for information systems: HL7 version 2 and FHIR, made of the report."""
