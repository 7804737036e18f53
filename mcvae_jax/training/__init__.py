"""One training loop for every model: batch, step, log, evaluate, save."""
