"""The three networks of the cascade and what is needed to trust them."""
