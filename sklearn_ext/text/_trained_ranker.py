"""A sentence ranker that learns from reference summaries."""

__all__ = ["SentenceRanker"]


class SentenceRanker:
    """Sentence ranker trained on summaries; a place holder until the trained one lands."""

    def fit(self, texts, summaries, *, sample_weight=None, random_state=None):
        """Learn from reference summaries."""
        return self
