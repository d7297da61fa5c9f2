"""How the weights were made: runs from a checkout, is never shipped."""
