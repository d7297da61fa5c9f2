"""Training, evaluation and export of the networks; runs from a checkout and is never shipped."""
