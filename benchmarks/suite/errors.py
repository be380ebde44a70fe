class BenchmarkError(Exception):
    """Anything that makes figures worthless or impossible; the text is for the user."""
