"""The way out: composed objects to their destinations, with retry."""
