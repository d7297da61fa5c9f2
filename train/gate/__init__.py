"""The gate in front of the networks: which films are read at all."""
