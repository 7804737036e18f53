"""What a trained model is worth. Stands on models and the corpus, never on training."""
