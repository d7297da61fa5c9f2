"""Measures, probes for shortcuts, model cards and the results page."""
