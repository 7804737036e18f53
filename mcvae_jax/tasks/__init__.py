"""Models with their data and losses: what the training loop is given."""
