"""One file per serving system. A file that defines `SYSTEM` is an adapter; others hold what adapters share."""
