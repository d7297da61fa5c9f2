"""Fetch older films from a PACS: what it has, what is missing here, one study after the other."""
