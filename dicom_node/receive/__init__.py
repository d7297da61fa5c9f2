"""Reception: C-STORE in, an instance on disk and in the database out, and only then Success."""
