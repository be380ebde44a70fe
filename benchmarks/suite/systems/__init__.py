"""One adapter per serving system: each module with a SYSTEM is one, named after its file."""
