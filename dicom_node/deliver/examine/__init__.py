"""What a destination offers, and what it does to a test study: `doctor destination`."""
