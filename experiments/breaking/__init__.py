"""What `experiments.faults` does to runs, and how it tells whether they survived."""
