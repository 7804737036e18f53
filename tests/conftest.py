"""Settings of the whole test run."""

import os

# Compiling is most of the suite's time, and its arrays are tiny: without optimisation it takes half as long.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0".strip()
