"""Models of songs side by side on one corpus: see experiments/compare.py."""
