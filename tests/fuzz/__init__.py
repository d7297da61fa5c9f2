"""Coverage-guided fuzzing of what strangers send; ``python -m fuzz`` and the corpus's own test."""
