"""What a model tells the training loop about itself; the loop knows no model by name."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import jax

from mcvae_jax.batches.bars import Batch

Params = Any  # nested dict of arrays
Sums = dict[str, jax.Array]
Metrics = dict[str, jax.Array]
Placed = dict[str, jax.Array]  # a batch on the devices, or its share on one


class Task(NamedTuple):
    """A model, its losses and its data. B is the number of examples in a batch.

    A batch is a dict of arrays with leading axis B. Two of them every task has: 'weight' (B,) float32, 0 for
    padding, and 'index' (B,) int32, the place of the example in the whole batch (held-out: in the whole
    held-out set). An example's randomness comes from `nn.keys.example_keys(key, batch['index'])`, in every
    layout.
    """

    init: Callable[[jax.Array], Params]
    # sums(params, batch, key, train): sums over the examples given, each weighted by batch['weight'], and
    # 'weight', what the terms to log are means over: the sum of the weights, or of what the examples hold
    sums: Callable[[Params, Placed, jax.Array, bool], Sums]
    # objective(sums over the whole batch, step) -> what is minimised, and scalars to log
    objective: Callable[[Sums, jax.Array], tuple[jax.Array, Metrics]]
    # held_out_objective(sums): at the final annealing values, without free bits; `best` is its minimum
    held_out_objective: Callable[[Sums], tuple[jax.Array, Metrics]]
    # batch(step): a pure function of the step, which is therefore the whole state of the data; of few shapes, since
    # each is compiled once
    batch: Callable[[int], Batch]
    # held_out_batches(): of few shapes, in the same order every time
    held_out_batches: Callable[[], Iterable[Batch]]
    # finish(best params, folder, say): writes results and pictures into the folder, returns figures for JSON
    finish: Callable[[Params, Path, Callable[[str], None]], dict]
    # JSON facts that identify the data (corpus identity, counts); a workdir records them and refuses others
    data: dict = {}
    # names of leaves of the parameters that came from the data and are never trained, such as scales
    constants: frozenset[str] = frozenset()
