"""Coverage-guided fuzzing of untrusted input: ``python -m fuzz``, and a test over the corpus."""
