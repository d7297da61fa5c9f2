"""A site's own version: the shipped one, taught by the site's verdicts without forgetting."""
