"""Summaries of texts: offline, or through the language models of many vendors."""

from sklearn_ext.text._run_log import Estimate, Failure, Summaries, UngroundedSummary, Usage
from sklearn_ext.text._summarizer import TextSummarizer
from sklearn_ext.text.backends._fake import FakeBackend
from sklearn_ext.text.backends._protocol import SummaryReply, SummaryRequest

__all__ = [
    "Estimate",
    "Failure",
    "FakeBackend",
    "Summaries",
    "SummaryReply",
    "SummaryRequest",
    "TextSummarizer",
    "UngroundedSummary",
    "Usage",
]
