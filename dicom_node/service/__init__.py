"""The processes of a running node and what each of them does."""
