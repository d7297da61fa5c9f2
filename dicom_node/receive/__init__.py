"""Reception: a C-STORE becomes a file and a database row, and only then is Success answered."""
