class BootstrapError(Exception):
    """Anything that stops the bootstrap; its text tells the user what happened and what to do."""
