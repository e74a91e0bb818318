"""Summaries of texts."""

__all__ = []
