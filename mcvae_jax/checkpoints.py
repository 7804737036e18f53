"""Checkpoints on disk, for training and sampling alike: the only import of Orbax.

A checkpoint is a step number, two trees ('params' and 'opt_state') and, where the step was evaluated, its
held-out metrics. The newest and the best are kept. A checkpoint appears under its final name only when all of
it is on disk, so what a killed process leaves half written is never taken for one.
"""

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import PolicyCheckpointInfo, PreservationContext

from mcvae_jax.errors import UserError

ITEMS = ("params", "opt_state")
OBJECTIVE = "objective"  # the entry of the metrics that 'best' minimises


# Orbax warns of what is meant here: that a folder is only read
logging.getLogger("absl").addFilter(lambda record: "read_only=True" not in record.getMessage())
logging.getLogger("absl").addFilter(lambda record: "read only=" not in record.getMessage())


class DamagedCheckpoint(UserError):
    """A checkpoint that is there but cannot be read."""


class Restored(NamedTuple):
    """A checkpoint in memory; `items` holds the trees that were asked for."""

    step: int
    items: dict[str, Any]
    metrics: dict[str, float] | None


class Checkpoints:
    """The checkpoints in a folder. Use as a context manager: leaving it waits for the last save."""

    def __init__(self, folder: Path | str, read_only: bool = False):
        self.folder = Path(folder).absolute()
        if read_only and not self.folder.is_dir():
            raise UserError(f"{self.folder} holds no checkpoint; train there first.")
        options = ocp.CheckpointManagerOptions(
            create=not read_only,
            read_only=read_only,
            cleanup_tmp_directories=not read_only,
            best_fn=lambda metrics: metrics.get(OBJECTIVE, math.inf),  # without it no metrics reach the disk
            best_mode="min",
            preservation_policy=_NewestAndBest(),
            enable_background_delete=not read_only,
            multiprocessing_options=_readers() if read_only else ocp.options.MultiprocessingOptions(),
        )
        handlers = {
            name: ocp.StandardCheckpointHandler(multiprocessing_options=options.multiprocessing_options)
            for name in ITEMS
        }
        self._manager = ocp.CheckpointManager(self.folder, options=options, item_handlers=handlers)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_) -> None:
        self._manager.close()

    def steps(self) -> list[int]:
        """The steps whose checkpoints are complete, oldest first."""
        return sorted(self._manager.all_steps())

    def newest(self) -> int | None:
        """The last step, None where there is none."""
        return max(self.steps(), default=None)

    def best(self) -> int | None:
        """The evaluated step with the lowest objective, the earlier of equals; None where there is none."""
        scores = {step: self.metrics(step) for step in self.steps()}
        return min((s for s in scores if scores[s]), key=lambda s: scores[s][OBJECTIVE], default=None)

    def metrics(self, step: int) -> dict[str, float] | None:
        """The held-out metrics of a step, None where it was not evaluated."""
        return self._manager.metrics(step) or None

    def shapes(self, step: int, item: str) -> dict[str, tuple[int, ...]]:
        """'a/b/kernel' -> shape, of an item of a checkpoint; DamagedCheckpoint where these cannot be read."""
        try:
            shapes = _shapes(self._manager.item_metadata(step)[item])
            if not shapes:
                raise ValueError("its list of arrays is missing")
            return shapes
        except Exception as error:  # Orbax, tensorstore and json raise many kinds
            raise self._damaged(step, error) from error

    def save(self, step: int, items: dict[str, Any], metrics: dict[str, float] | None = None) -> None:
        """Copies the trees (to host memory where need be) and returns; another thread writes them."""
        args = ocp.args.Composite(**{name: ocp.args.StandardSave(items[name]) for name in ITEMS})
        self._manager.save(step, args=args, metrics=metrics or {}, force=True)

    def wait(self) -> None:
        """Returns when every save is on disk."""
        self._manager.wait_until_finished()

    def delete(self, step: int) -> None:
        """Removes a checkpoint (a damaged one, so that its step can be saved again)."""
        self._manager.delete(step)

    def restore(self, which: str | int, targets: dict[str, Any]) -> Restored:
        """The 'best', the 'newest' or a numbered checkpoint.

        Args:
          which: 'best', 'newest' or a step.
          targets: for each item wanted, a tree of arrays or ShapeDtypeStructs with the shapes, dtypes and
            shardings to restore to; see `target`.

        Raises:
          UserError: there is no such checkpoint, or it is of another configuration.
          DamagedCheckpoint: it cannot be read.
        """
        step = {"best": self.best, "newest": self.newest}[which]() if isinstance(which, str) else which
        if step is None or step not in self.steps():
            raise UserError(f"{self.folder} holds no {_describe(which)} (it has steps {self.steps()}).")
        for name, tree in targets.items():
            _check_same(self.shapes(step, name), _shapes(tree), f"checkpoint {step} in {self.folder}", name)
        try:
            args = ocp.args.Composite(**{name: ocp.args.StandardRestore(tree) for name, tree in targets.items()})
            restored = self._manager.restore(step, args=args)
        except Exception as error:  # many kinds, as above
            raise self._damaged(step, error) from error
        return Restored(step, {name: restored[name] for name in targets}, self.metrics(step))

    def _damaged(self, step: int, error: Exception) -> DamagedCheckpoint:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        reason = reason.partition(" [tensorstore_spec=")[0][:300]  # what follows are settings of its own
        return DamagedCheckpoint(f"Checkpoint {step} in {self.folder} cannot be read: {reason}")


def _readers() -> ocp.options.MultiprocessingOptions:
    """Of several processes, the one that opens a folder to read waits for no other."""
    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    here = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=here, active_processes={here}, barrier_sync_key_prefix=f"reader_{here}"
    )


def target(tree: Any, sharding: jax.sharding.Sharding) -> Any:
    """What to restore to: shapes and dtypes of the tree (arrays or ShapeDtypeStructs), with one sharding."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree)


class _NewestAndBest:
    """Orbax' preservation policy that keeps these two."""

    def should_preserve(
        self, checkpoints: Sequence[PolicyCheckpointInfo], *, context: PreservationContext
    ) -> Sequence[bool]:
        del context
        evaluated = [c for c in checkpoints if c.metrics]
        best = min(evaluated, key=lambda c: c.metrics[OBJECTIVE], default=None)
        return [c is best or c is checkpoints[-1] for c in checkpoints]


def _describe(which: str | int) -> str:
    return f"{which} checkpoint" if isinstance(which, str) else f"checkpoint of step {which}"


def _shapes(tree: Any) -> dict[str, tuple]:
    """'a/b/kernel' -> shape, of a tree of arrays, ShapeDtypeStructs or Orbax' metadata."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): tuple(leaf.shape) for path, leaf in leaves}


def _check_same(stored: dict, wanted: dict, where: str, item: str) -> None:
    names = sorted(stored.keys() | wanted.keys())
    differ = [n for n in names if stored.get(n) != wanted.get(n)]
    if differ:
        shown = "; ".join(f"{n}: {stored.get(n, 'absent')} there, {wanted.get(n, 'absent')} here" for n in differ[:3])
        more = f" and {len(differ) - 3} more" if len(differ) > 3 else ""
        raise UserError(f"The {item} of {where} belong to another model: {shown}{more}.")
