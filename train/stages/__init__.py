"""The three stages of the cascade and their losses."""
