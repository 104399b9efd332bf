"""A gallery: one folder that knows which images it holds, how they were embedded, and how to search them."""

from lookalike.gallery.facade import Gallery

__all__ = ["Gallery"]
