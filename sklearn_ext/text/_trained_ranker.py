"""A sentence ranker that learns from reference summaries."""

__all__ = ["SentenceRanker"]


class SentenceRanker:
    """Sentence ranker trained on summaries; a place holder until the trained one lands."""
