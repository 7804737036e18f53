"""Settings of the whole test run."""

import os

# Compiling is most of the suite's time, and its arrays are tiny: without optimisation it takes half as long.
os.environ.setdefault("JAX_PLATFORMS", "cpu")  # tolerances are those of float32 products, which a GPU rounds
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0".strip()
