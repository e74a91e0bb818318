"""Language models and summarization services, behind one method."""
