"""The parts of experiments/thesis.py, the thesis' own evaluation."""
