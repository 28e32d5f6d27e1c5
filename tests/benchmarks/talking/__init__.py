"""Parts of the benchmark of speech."""
