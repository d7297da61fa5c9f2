"""The gate in front of the networks: which films the networks read."""
