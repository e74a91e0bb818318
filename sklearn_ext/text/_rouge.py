"""ROUGE on Unicode text (Lin 2004), equal to the rouge_score package on English."""
