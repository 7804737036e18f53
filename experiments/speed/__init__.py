"""How fast the project is beside good programs of others that do the same work: see `experiments.benchmark`."""
