"""Views of a corpus as batches, each a pure function of the step."""
