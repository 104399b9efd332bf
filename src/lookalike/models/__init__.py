"""Pixels to embeddings: networks, their cards and the runtimes they run on."""
