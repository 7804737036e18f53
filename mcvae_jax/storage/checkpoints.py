"""Checkpoints on disk, for training and sampling alike: the only import of Orbax.

A checkpoint is a step number, two trees ('params' and 'opt_state') and a record (identity.py): the identities of both
trees, and the held-out metrics where the step was evaluated. Whatever is restored must have its identity. The newest
and the best are kept. A checkpoint appears under its final name only when all of it is on disk, so what a killed
process leaves half written is never taken for one.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import PolicyCheckpointInfo, PreservationContext

from mcvae_jax.errors import UserError
from mcvae_jax.storage.buckets import is_of_bucket
from mcvae_jax.storage.disk import cannot_write, is_of_disk, refusal
from mcvae_jax.storage.identity import (
    ITEM,
    OBJECTIVE,
    About,
    has_about,
    named_leaves,
    read_about,
    tree_identity,
    write_about,
)
from mcvae_jax.storage.jsonfile import DamagedFile, check_of
from mcvae_jax.storage.noise import silence

ITEMS = ("params", "opt_state")

silence()


class DamagedCheckpoint(UserError):
    """A checkpoint that is there but cannot be read, or holds other arrays than were saved."""

    def __init__(self, step: int, folder: Path, reason: str) -> None:
        super().__init__(f"Checkpoint {step} in {folder} is damaged: {reason}.")
        self.step = step


class OtherModel(UserError):
    """A checkpoint of another configuration."""


class Restored(NamedTuple):
    """A checkpoint in memory; `items` holds the trees that were asked for."""

    step: int
    items: dict[str, Any]
    metrics: dict[str, float] | None


class Checkpoints:
    """The checkpoints in a folder. Use as a context manager: leaving it waits for the last save."""

    def __init__(self, folder: Path | str, read_only: bool = False, run: Mapping[str, Any] | None = None) -> None:
        """run: what config.json holds, which every checkpoint keeps a copy of; it may be set anew.

        Of several processes, all write into a folder that all see. In a bucket each has a folder of its own, where the
        first one saves and the others read what it has saved (`reload`).
        """
        self.folder, self.run, self._needs = Path(folder).absolute(), dict(run or {}), 0
        self._is_own = is_of_bucket(self.folder) and jax.process_count() > 1
        if read_only and not self.folder.is_dir():
            raise UserError(f"{self.folder} holds no checkpoint; train there first.")
        options = ocp.CheckpointManagerOptions(
            create=not read_only and not self._is_own,
            read_only=read_only,
            cleanup_tmp_directories=not read_only,
            preservation_policy=_NewestAndBest(),
            enable_background_delete=not read_only,
            multiprocessing_options=_readers() if read_only or self._is_own else ocp.options.MultiprocessingOptions(),
        )
        handlers = {
            name: ocp.StandardCheckpointHandler(multiprocessing_options=options.multiprocessing_options)
            for name in ITEMS
        } | {ITEM: _AboutHandler()}
        try:
            if self._is_own and not read_only:
                self.folder.mkdir(parents=True, exist_ok=True)
            self._manager = _Manager(self.folder, options=options, item_handlers=handlers)
        except OSError as error:
            raise cannot_write(self.folder, error) from error

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        try:
            self._manager.close()
        except Exception as error:  # of a save, see `wait`; what ended the block comes first
            if kind is None:
                self._not_written(error)

    def steps(self) -> list[int]:
        """The steps whose checkpoints are complete, oldest first.

        What a process left that was killed while it removed one, since better ones were there, is none.
        """
        found = sorted(self._manager.all_steps())
        return [step for step in found if step == found[-1] or has_about(self.folder / str(step))]

    def newest(self) -> int | None:
        """The last step, None where there is none."""
        return max(self.steps(), default=None)

    def best(self) -> int | None:
        """The evaluated step with the lowest objective, the earlier of equals; None where there is none.

        Raises DamagedCheckpoint where the metrics of a step cannot be read, as that may be the best.
        """
        scores = {step: found[OBJECTIVE] for step in self.steps() if (found := self.metrics(step))}
        return min(scores, key=scores.__getitem__, default=None)

    def about(self, step: int) -> About:
        """The record of a step; DamagedCheckpoint where it cannot be read."""
        try:
            return read_about(self.folder / str(step), step)
        except DamagedFile as error:
            if refusal(error):
                raise self._damaged(step, error) from error
            raise DamagedCheckpoint(step, self.folder, f"{error.path.name}: {error.reason}") from error

    def metrics(self, step: int) -> dict[str, float] | None:
        """The held-out metrics of a step, None where it was not evaluated; DamagedCheckpoint as `about`."""
        return self.about(step).metrics or None

    def identity(self, step: int, item: str) -> str:
        """The identity of an item, see `tree_identity`; UserErrors as `restore` has them."""
        recorded = self.about(step).identities.get(item)
        return recorded or tree_identity(self.restore(step, {item: self.stored(step, item)}).items[item])

    def damage(self, step: int, items: Sequence[str] = ()) -> DamagedCheckpoint | None:
        """What is wrong with the items of a checkpoint, which are read for it; None where nothing is.

        items: () is what a run may still need, all of the newest and of others, kept as the best, the parameters.
        """
        items = items or (ITEMS if step == self.newest() else ITEMS[:1])
        try:
            self.restore(step, {name: self.stored(step, name) for name in items})
        except DamagedCheckpoint as error:
            return error
        return None

    def damaged(self) -> list[DamagedCheckpoint]:
        """What is wrong with which, newest first; of the newest whole one, where a run goes on, all is looked at."""
        found: list[DamagedCheckpoint] = []
        items: Sequence[str] = ITEMS
        for step in reversed(self.steps()):
            if error := self.damage(step, items):
                found.append(error)
            else:
                items = ITEMS[:1]
        return found

    def whole(self) -> list[int]:
        """The steps with which nothing is wrong."""
        return [step for step in self.steps() if self.damage(step) is None]

    def shapes(self, step: int, item: str) -> dict[str, tuple[int, ...]]:
        """'a/b/kernel' -> shape, of an item of a checkpoint; DamagedCheckpoint where these are not what was saved."""
        return _shapes(self._metadata(step, item))

    def save(self, step: int, items: dict[str, Any], metrics: dict[str, float] | None = None) -> None:
        """Copies the trees (to host memory where need be) and returns; another thread writes them.

        Raises CannotWrite where this save or the one before it could not be written.
        """
        if self._is_own:
            if jax.process_index():
                return
            items = jax.tree.map(_own_copy, items)
        layouts = {name: check_of(_shapes(items[name])) for name in ITEMS}
        about = About(step, {}, layouts, metrics or {}, self.run)
        args = {name: ocp.args.StandardSave(items[name]) for name in ITEMS}
        args[ITEM] = _AboutArgs(about, {name: jax.device_get(items[name]) for name in ITEMS})
        self._needs = sum(leaf.nbytes for leaf in jax.tree.leaves(items))
        try:
            self._manager.save(step, args=ocp.args.Composite(**args), metrics=metrics or None, force=True)
        except Exception as error:  # Orbax, tensorstore and the operating system raise many kinds
            self._not_written(error)

    def wait(self) -> None:
        """Returns when every save is on disk; CannotWrite where one could not be written."""
        try:
            self._manager.wait_until_finished()
        except Exception as error:  # many kinds, as above
            self._not_written(error)

    def reload(self) -> None:
        """Looks again which checkpoints are there, where another process saves them."""
        if self._is_own and jax.process_index():
            self._manager.reload()

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
          UserError: there is no such checkpoint.
          OtherModel: it is of another configuration.
          DamagedCheckpoint: it cannot be read, or an item is not the one that was saved.
        """
        step = {"best": self.best, "newest": self.newest}[which]() if isinstance(which, str) else which
        if step is None or step not in self.steps():
            raise UserError(f"{self.folder} holds no {_describe(which)} (it has steps {self.steps()}).")
        about = self.about(step)
        for name, tree in targets.items():
            _check_same(self.shapes(step, name), _shapes(tree), f"checkpoint {step} in {self.folder}", name)
        try:
            args = ocp.args.Composite(**{name: ocp.args.StandardRestore(tree) for name, tree in targets.items()})
            restored = self._manager.restore(step, args=args)
        except Exception as error:  # many kinds, as above
            raise self._damaged(step, error) from error
        for name in targets:
            if about.identities and tree_identity(restored[name]) != about.identities.get(name):
                raise DamagedCheckpoint(step, self.folder, f"its {name} are not those that were saved")
        return Restored(step, {name: restored[name] for name in targets}, about.metrics or None)

    def stored(self, step: int, item: str) -> Any:
        """The `target` of an item as it was saved, on the first device."""
        return target(self._metadata(step, item), jax.sharding.SingleDeviceSharding(jax.local_devices()[0]))

    def _metadata(self, step: int, item: str) -> Any:
        """The tree of an item as Orbax describes it; DamagedCheckpoint where that is not what was saved."""
        layouts = self.about(step).layouts
        try:
            found = ocp.StandardCheckpointHandler().metadata(self._manager.directory / str(step) / item)
            tree = getattr(found, "tree", found)
            shapes = _shapes(tree)
        except Exception as error:  # many kinds, as above
            raise self._damaged(step, error) from error
        if not shapes or (layouts and check_of(shapes) != layouts.get(item)):
            raise DamagedCheckpoint(
                step, self.folder, f"the list of arrays of its {item} is not the one that was saved"
            )
        return tree

    def _damaged(self, step: int, error: Exception) -> UserError:
        """DamagedCheckpoint, unless the system does not let it be read, whatever it holds."""
        if refused := refusal(error):
            return UserError(f"Checkpoint {step} in {self.folder} cannot be read: {refused}; mend that.")
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        reason = reason.partition(" [tensorstore_spec=")[0][:300]  # what follows are settings of its own
        return DamagedCheckpoint(step, self.folder, f"it cannot be read: {reason.rstrip('.')}")

    def _not_written(self, error: Exception) -> NoReturn:
        if not is_of_disk(error, self.folder):
            raise error
        raise cannot_write(self.folder / "checkpoint", error, self._needs) from error


def _readers() -> ocp.options.MultiprocessingOptions:
    """Of several processes, the one that opens a folder to read waits for no other."""
    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    here = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=here, active_processes={here}, barrier_sync_key_prefix=f"reader_{here}"
    )


def _own_copy(leaf: Any) -> Any:
    """What this process has of an array that is the same on all devices of all processes."""
    return np.asarray(leaf.addressable_data(0)) if isinstance(leaf, jax.Array) else leaf


def target(tree: Any, sharding: jax.sharding.Sharding) -> Any:
    """What to restore to: shapes and dtypes of the tree (arrays or ShapeDtypeStructs), with one sharding."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree)


class _Manager(ocp.CheckpointManager):
    """Orbax' manager, which is told the metrics: its own file of them, where damaged, ends its constructor."""

    def metrics(self, step: int) -> dict[str, float] | None:
        try:
            return read_about(Path(self.directory) / str(step), step).metrics or None
        except DamagedFile:  # found again, and said, when the checkpoint is read
            return None


@dataclasses.dataclass
class _AboutArgs(ocp.args.CheckpointArgs):
    about: About
    trees: dict[str, Any]  # item -> its arrays in host memory


class _AboutHandler(ocp.AsyncCheckpointHandler):
    """Writes the record of a checkpoint: the arrays are hashed in the thread that writes it."""

    async def async_save(self, directory: os.PathLike[str], args: _AboutArgs) -> list[ocp.future.Future]:
        if not ocp.utils.is_primary_host(0):
            return []
        return [ocp.future.CommitFutureAwaitingContractedSignals(self._write(directory, args), name="identity")]

    async def _write(self, directory: os.PathLike[str], args: _AboutArgs) -> None:
        identities = {name: tree_identity(tree) for name, tree in args.trees.items()}
        write_about(Path(directory), dataclasses.replace(args.about, identities=identities))

    def save(self, directory: os.PathLike[str], args: _AboutArgs) -> None:
        raise NotImplementedError("it is saved by `async_save`")

    def restore(self, directory: os.PathLike[str], args: _AboutArgs) -> None:
        raise NotImplementedError("it is read by `read_about`")


ocp.args.register_with_handler(_AboutHandler, for_save=True, for_restore=True)(_AboutArgs)


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
    return {name: tuple(leaf.shape) for name, leaf in named_leaves(tree).items()}


def _check_same(stored: dict, wanted: dict, where: str, item: str) -> None:
    names = sorted(stored.keys() | wanted.keys())
    differ = [n for n in names if stored.get(n) != wanted.get(n)]
    if differ:
        shown = "; ".join(f"{n}: {stored.get(n, 'absent')} there, {wanted.get(n, 'absent')} here" for n in differ[:3])
        more = f" and {len(differ) - 3} more" if len(differ) > 3 else ""
        raise OtherModel(f"The {item} of {where} belong to another model: {shown}{more}.")
