"""What answers: vLLM. Imported by `app` alone."""
