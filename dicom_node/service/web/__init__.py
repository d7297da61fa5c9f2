"""The web process: health, metrics and a read-only page, on this machine only."""
