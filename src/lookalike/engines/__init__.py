"""Vector search, always rebuildable from the catalogue."""
