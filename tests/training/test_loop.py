"""The loop: resume to the bit, stop, refuse, finish."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import optax
import pytest
from matplotlib.figure import Figure

from mcvae_jax import inspect, versions
from mcvae_jax.command import clock
from mcvae_jax.errors import UserError
from mcvae_jax.storage.checkpoints import Checkpoints, target
from mcvae_jax.storage.workdir import Workdir, differences
from mcvae_jax.training import curves, loop, metrics, update
from mcvae_jax.training.optimizer import make_optimizer
from tests import toy_task
from tests.small_models import edit_json

DEVICE = jax.sharding.SingleDeviceSharding(jax.devices()[0])


def train(folder, task=None, init_from="", **fields):
    """Trains the toy task; returns the outcome and the lines that it said."""
    said = []
    task = task or toy_task.make_task()
    return loop.train(task, toy_task.make_config(**fields), folder, said.append, init_from), said


def load(folder, which="newest", units=5):
    """Parameters and optimiser state of a checkpoint, as numpy."""
    task, optimizer = toy_task.make_task(units=units), make_optimizer(toy_task.make_config().optimizer)
    state = jax.eval_shape(lambda: update.init_state(task, optimizer, 0))
    wanted = target({"params": state.params, "opt_state": state.opt_state}, DEVICE)
    with Checkpoints(Workdir(folder).checkpoints, read_only=True) as checkpoints:
        return jax.device_get(checkpoints.restore(which, wanted).items)


def one_device(fn, seed):
    """fn(x, batch, seed, reduce) compiled for one device, apart from parallel.py."""
    return jax.jit(lambda x, batch: fn(x, batch, seed, lambda tree: tree))


def assert_same_bits(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


def log_of(folder):
    """The metrics without what the clock says."""
    lines = metrics.read_metrics(Workdir(folder).metrics)
    return [{k: v for k, v in e.items() if k not in ("seconds", "examples_per_second")} for e in lines]


def start(folder, lines=1, **fields):
    """A training process, when it has said this many progress lines."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.toy_task", str(folder), json.dumps(fields)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    for line in process.stdout:
        lines -= line.startswith("step ")
        if lines == 0:
            return process
    raise AssertionError(process.stderr.read())


# ---- resume


@pytest.mark.more
def test_a_longer_run_is_the_same_run_up_to_its_old_end(tmp_path):
    train(tmp_path / "whole", steps=40)
    train(tmp_path / "parts", steps=17)
    outcome, said = train(tmp_path / "parts", steps=40)
    assert outcome == (40, 0) and "Going on from step 17" in said[0]
    assert_same_bits(load(tmp_path / "whole"), load(tmp_path / "parts"))


@pytest.mark.more
@pytest.mark.parametrize("kills", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_kill_9_at_random_moments_changes_no_bit(tmp_path, kills):
    fields = dict(steps=100 * kills, log_every=10, eval_every=30, save_every=10)
    train(tmp_path / "whole", **fields)
    moments = [(random.randint(3, 9), random.uniform(0.0, 0.1)) for _ in range(kills)]  # at the third line one is saved
    reached = []
    for lines, seconds in moments:
        process = start(tmp_path / "killed", lines, sleep=0.01, **fields)
        time.sleep(seconds)
        process.kill()
        process.wait()
        assert process.returncode == -signal.SIGKILL, "the run ended before it was killed"
        reached.append(log_of(tmp_path / "killed")[-1]["step"])
    _, said = train(tmp_path / "killed", **fields)
    assert "Going on from step" in said[0] and reached[-1] < fields["steps"], (said[0], reached)
    assert_same_bits(load(tmp_path / "whole"), load(tmp_path / "killed"))
    assert_same_bits(load(tmp_path / "whole", "best"), load(tmp_path / "killed", "best"))
    assert log_of(tmp_path / "whole") == log_of(tmp_path / "killed"), (moments, reached)


@pytest.mark.more
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_saves_and_says_how_to_go_on(tmp_path, number):
    fields = dict(steps=3000, log_every=10, eval_every=5000, save_every=5000)
    process = start(tmp_path / "run", sleep=0.002, **fields)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    stopped = int(re.search(r"Stopped at step (\d+)/3000 and saved. The same command again goes on", out)[1])
    assert 10 <= stopped < 3000 and "once more quits at once" in err and "Traceback" not in err
    train(tmp_path / "run", **fields | {"steps": stopped + 5})
    train(tmp_path / "whole", **fields | {"steps": stopped + 5})
    assert_same_bits(load(tmp_path / "whole"), load(tmp_path / "run"))


@pytest.mark.more
@pytest.mark.parametrize("during", ["save", "wait"])
def test_a_signal_in_the_last_save_stops_before_the_results(tmp_path, monkeypatch, during):
    train(tmp_path / "whole", steps=20)
    plain = getattr(Checkpoints, during)

    def signalled(checkpoints, *arguments):
        if not arguments or arguments[0] == 20:
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(checkpoints, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, during, signalled)
        outcome, said = train(tmp_path / "run", steps=20)
    assert outcome == (20, signal.SIGTERM) and "Stopped at step 20/20 and saved." in said[-1]
    assert not (tmp_path / "run" / "results").exists()
    outcome, said = train(tmp_path / "run", steps=20)
    assert outcome == (20, 0) and any("Done: step 20" in line for line in said)
    assert_same_bits(load(tmp_path / "whole"), load(tmp_path / "run"))


@pytest.mark.more
def test_a_second_signal_quits_at_once(tmp_path):
    process = start(tmp_path, sleep=2.0, steps=300, log_every=1, eval_every=500, save_every=500)
    process.send_signal(signal.SIGINT)
    while "once more quits at once" not in process.stderr.readline():  # XLA may write of its cache before
        pass
    begun = time.time()
    process.send_signal(signal.SIGINT)
    process.wait(timeout=20)
    assert process.returncode == 130 and time.time() - begun < 1.5
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        assert checkpoints.steps() == []


@pytest.mark.more
def test_a_damaged_newest_checkpoint_is_passed_over(tmp_path):
    """The objective here is made to grow, so that the best is an older one."""
    task = toy_task.make_task()
    growing = task._replace(held_out_objective=lambda s: (-task.held_out_objective(s)[0], {}))
    train(tmp_path / "whole", growing, steps=40)
    train(tmp_path / "run", growing, steps=30)
    for path in (tmp_path / "run" / "checkpoints" / "30").rglob("_METADATA"):
        path.unlink()
    _, said = train(tmp_path / "run", growing, steps=40)
    assert "Checkpoint 30" in said[0] and "removed" in said[0] and "Going on from step 20" in said[1]
    assert_same_bits(load(tmp_path / "whole"), load(tmp_path / "run"))


@pytest.mark.more
def test_a_damaged_best_checkpoint_gives_its_place_to_the_next_best(tmp_path):
    task = toy_task.make_task()
    growing = task._replace(held_out_objective=lambda s: (-task.held_out_objective(s)[0], {}))
    train(tmp_path, growing, steps=40, eval_every=40)
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        best = checkpoints.best()
    train(tmp_path, growing, steps=60, eval_every=30)
    (tmp_path / "results" / "summary.json").write_text("{")  # damaged as well, so the results are made again
    for path in (tmp_path / "checkpoints" / str(best)).rglob("_METADATA"):
        path.unlink()
    _, said = train(tmp_path, growing, steps=60, eval_every=30)
    assert any(f"Checkpoint {best}" in line and "removed" in line for line in said)
    assert json.loads((tmp_path / "results" / "summary.json").read_text())["best_step"] == 60


# ---- compilation, metrics, the best


def test_the_step_function_compiles_once(tmp_path):
    compiled = []

    def listen(event, duration, **details):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(details.get("fun_name"))

    jax.monitoring.register_event_duration_secs_listener(listen)  # for good: jax 0.7.2 has no public way to undo it
    train(tmp_path, steps=30)
    first = list(compiled)
    train(tmp_path, steps=45)
    for names in (first, compiled[len(first) :]):
        assert [n for n in names if "update" in n] == ["jit(update)"], names
        assert [n for n in names if "held_out_sums" in n] == ["jit(held_out_sums)"], names


def test_held_out_scores_divide_once(tmp_path):
    """Against the whole held-out set as one batch; the mean of the batches' scores is another number."""
    train(tmp_path, steps=20)
    task, params = toy_task.make_task(), load(tmp_path)["params"]
    batches = list(task.held_out_batches())
    whole = {k: np.concatenate([b[k] for b in batches]) for k in batches[0]}
    key = update.step_key(1, update.HELD_OUT_STEP)

    def score(batch):
        return float(jax.jit(lambda batch: task.held_out_objective(task.sums(params, batch, key, False))[0])(batch))

    logged = [e["objective"] for e in log_of(tmp_path) if e["split"] == "held_out"][-1]
    assert logged == pytest.approx(score(whole), rel=1e-5)
    assert logged != pytest.approx(np.mean([score(b) for b in batches]), rel=1e-4)


def test_training_metrics_are_of_all_examples_since_the_last_line(tmp_path):
    train(tmp_path, steps=3, log_every=3)
    task, config = toy_task.make_task(), toy_task.make_config()
    optimizer = make_optimizer(config.optimizer)
    state = jax.jit(lambda: update.init_state(task, optimizer, 1))()
    step_fn, total = one_device(update.make_update(task, optimizer), 1), None
    for step in range(3):
        state, report = step_fn(state, task.batch(step))
        total = metrics.add_sums(total, report.sums)
    line = [e for e in log_of(tmp_path) if e["split"] == "train"][0]
    assert line["error"] == pytest.approx(total["error"] / total["weight"], rel=1e-5)
    assert line["learning_rate"] == pytest.approx(0.02 * 2 / 5)
    assert line["grad_norm"] == pytest.approx(float(report.grad_norm), rel=1e-5)


def test_the_best_is_the_lowest_held_out_objective(tmp_path):
    train(tmp_path, steps=60, eval_every=5)
    scores = {e["step"]: e["objective"] for e in log_of(tmp_path) if e["split"] == "held_out"}
    summary = json.loads((tmp_path / "results" / "summary.json").read_text())
    assert summary["best_step"] == min(scores, key=scores.get) and len(scores) == 12
    assert summary["held_out"]["objective"] == min(scores.values())


def test_progress_lines_name_step_rate_eta_and_terms(tmp_path):
    _, said = train(tmp_path, steps=40)
    lines = [s for s in said if s.startswith("step ")]
    assert len(lines) == 4
    assert re.fullmatch(r"step 20/40  50%  \d+/s  ETA 0:00  loss \S+  error \S+  kl \S+", lines[1])


def test_clock():
    assert [clock(s) for s in (4.6, 312, 3725)] == ["0:05", "5:12", "1:02:05"]


# ---- not finite


@pytest.mark.parametrize(("explode_at", "newest"), [(13, 10), (14, 10), (19, 15), (2, None)])
def test_a_non_finite_update_stops_before_anything_is_saved(tmp_path, explode_at, newest):
    """Updates 15 and 20 are due to be saved, 20 to be evaluated as well."""
    task = toy_task.make_task(explode_at=explode_at)
    with pytest.raises(UserError) as caught:
        train(tmp_path, task, save_every=5)
    text = str(caught.value)
    assert f"update {explode_at + 1}:" in text and "\n" not in text and "learning_rate" in text
    assert ("there is no checkpoint yet" if newest is None else f"good checkpoint is step {newest}") in text
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        assert checkpoints.newest() == newest
    assert all(e["step"] <= explode_at for e in log_of(tmp_path))


@pytest.mark.parametrize("error", [MemoryError(), jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")])
def test_memory_that_runs_out_is_one_line(tmp_path, error):
    def batch(step):
        raise error

    with pytest.raises(UserError, match=r"Take a smaller config.train.batch_size \(it is 16\) or a smaller model"):
        train(tmp_path, toy_task.make_task()._replace(batch=batch))
    config = toy_task.make_config()
    config.data = {"max_bars": 339}  # as the MDRNN's config has it, whose longest songs need most
    with pytest.raises(UserError, match=r"\(it is 16\), a lower config.data.max_bars \(0 is no limit\) or a smaller"):
        loop.train(toy_task.make_task()._replace(batch=batch), config, tmp_path / "songs", lambda line: None)


def test_other_errors_of_the_compiler_keep_their_trace(tmp_path):
    def batch(step):
        raise jax.errors.JaxRuntimeError("INTERNAL: a bug")

    with pytest.raises(jax.errors.JaxRuntimeError, match="a bug"):
        train(tmp_path, toy_task.make_task()._replace(batch=batch))


def test_a_held_out_set_without_weight_is_refused(tmp_path):
    task = toy_task.make_task()._replace(held_out_batches=lambda: iter(()))
    with pytest.raises(UserError, match="no held-out examples"):
        train(tmp_path, task)


# ---- workdirs


def test_a_finished_run_says_so_and_only_missing_results_are_made_again(tmp_path):
    train(tmp_path, steps=20)
    before = load(tmp_path)
    outcome, said = train(tmp_path, steps=20)
    assert outcome == (20, 0) and len(said) == 1 and "is done: step 20" in said[0]
    (tmp_path / "results" / "learning_curve.png").unlink()
    _, said = train(tmp_path, steps=20)
    assert (tmp_path / "results" / "learning_curve.png").exists() and not any(s.startswith("step ") for s in said)
    assert_same_bits(before, load(tmp_path))


@pytest.mark.more
@pytest.mark.usefixtures("rendered")
def test_the_results_are_those_of_the_best_parameters(tmp_path):
    train(tmp_path, steps=20)
    params = load(tmp_path, "best")["params"]
    norm = float((tmp_path / "results" / "norm.txt").read_text())
    assert norm == pytest.approx(float(optax.tree.norm(params)) ** 2, rel=1e-5)
    assert (tmp_path / "results" / "learning_curve.png").read_bytes()[:4] == b"\x89PNG"


def test_a_panel_of_the_learning_curve_names_its_unit_where_it_has_one():
    of_vae = {"objective": 3.0, "kl": 2.0, "beta": 0.1}
    of_gan = {"objective": 3.0, "critic": 1.0}  # neither is of nats
    for terms, name, unit in (
        (of_vae, "kl", "nats per bar"),
        (of_vae, "beta", ""),
        (of_vae, "objective", "nats per bar"),
        (of_gan, "objective", ""),
    ):
        lines = [{"step": 1, "split": "train"} | terms]
        axes = Figure().add_subplot()
        curves.draw_panel(axes, curves.Panel(name, name, [curves.Curves(lines, curves.STYLES)]))
        assert axes.get_ylabel() == unit


def test_a_changed_field_is_refused_and_shown(tmp_path):
    train(tmp_path, steps=20)
    config = toy_task.make_config(steps=20, log_every=7)  # how often it logs may change
    config.model.units = 6
    with pytest.raises(UserError, match=r"model.units: 5 -> 6\. Take another --workdir \(--init_from=.*old values"):
        loop.train(toy_task.make_task(units=6), config, tmp_path)
    with pytest.raises(UserError, match="step 20 already, beyond config.train.steps=15"):
        train(tmp_path, steps=15)
    with pytest.raises(UserError, match='other data: identity: "toy" -> "else"'):
        train(tmp_path, toy_task.make_task()._replace(data={"identity": "else"}), steps=20)


def test_a_run_without_a_checkpoint_leaves_its_folder_to_another(tmp_path):
    with pytest.raises(UserError, match="there is no checkpoint yet"):
        train(tmp_path, toy_task.make_task(explode_at=0))
    config = toy_task.make_config(steps=5)
    config.optimizer.learning_rate = 0.01  # the advice was to lower it
    assert loop.train(toy_task.make_task(), config, tmp_path).step == 5
    assert Workdir(tmp_path).read().config["optimizer"]["learning_rate"] == 0.01


@pytest.mark.more
def test_a_run_records_on_what_it_is_computed_and_says_where_that_changes(tmp_path, monkeypatch):
    """Recorded is from which step on; a run that is done is computed no further."""
    here = versions.here()
    _, said = train(tmp_path, steps=20)
    assert Workdir(tmp_path).read().environments == [{"from_step": 0, "on": here}]
    assert not any("versions" in line for line in said)
    other = here | {"jax": "9.9.9"}
    monkeypatch.setattr(versions, "here", lambda: other)
    train(tmp_path, steps=20)
    assert len(Workdir(tmp_path).read().environments) == 1
    both = [{"from_step": 0, "on": here}, {"from_step": 20, "on": other}]
    for steps, news in ((30, 1), (40, 0)):
        _, said = train(tmp_path, steps=steps)
        told = [line for line in said if "versions" in line]
        assert len(told) == news and all(f'jax: "{here["jax"]}" -> "9.9.9"' in line for line in told)
        assert Workdir(tmp_path).read().environments == both
    with Checkpoints(Workdir(tmp_path).checkpoints, read_only=True) as checkpoints:
        assert checkpoints.about(40).run["environments"] == both
    shown = "\n".join(inspect.describe(tmp_path))
    assert f"from step 0   {versions.as_text(here)}" in shown and f"from step 20  {versions.as_text(other)}" in shown


@pytest.mark.more
def test_a_run_of_an_earlier_version_did_not_say_on_what(tmp_path):
    train(tmp_path, steps=20)
    edit_json(tmp_path / "config.json", lambda record: record.pop("environments"))
    assert "computed on" not in inspect.describe(tmp_path)
    _, said = train(tmp_path, steps=30)
    assert not any("versions" in line for line in said)
    assert Workdir(tmp_path).read().environments == [{"from_step": 20, "on": versions.here()}]


def test_a_moved_corpus_is_the_same_data(tmp_path):
    for place in ("here", "there"):
        train(tmp_path, toy_task.make_task()._replace(data={"identity": "toy", "corpus": place}), steps=5)


def test_other_folders_are_not_taken_for_workdirs(tmp_path):
    (tmp_path / "thesis.doc").write_text("years of work")
    with pytest.raises(UserError, match="other files and no config.json"):
        train(tmp_path)
    with pytest.raises(UserError, match="is a file"):
        train(tmp_path / "thesis.doc")


def test_two_processes_cannot_train_in_one_workdir(tmp_path):
    with Workdir(tmp_path).locked(), pytest.raises(UserError, match="Another process is training"):
        train(tmp_path)


def test_differences_are_named_by_their_path_and_counted():
    old = {"a": {"b": 1, "c": 2}, "d": 3}
    assert differences(old, {"a": {"b": 1, "c": 5}, "e": None}) == [
        "a.c: 2 -> 5",
        "d: 3 -> absent",
        "e: absent -> null",
    ]
    assert differences(old, {"a": {"b": 1, "c": 5}, "d": 4}, free=("a.c", "d")) == []
    many = differences({}, {str(i): i for i in range(12)})
    assert len(many) == 9 and many[-1] == "and 4 more"


# ---- init_from


@pytest.mark.more
def test_init_from_starts_from_the_best_parameters_of_another_run(tmp_path):
    train(tmp_path / "a", steps=20)
    train(tmp_path / "b", steps=1, init_from=str(tmp_path / "a"))
    task, config = toy_task.make_task(), toy_task.make_config()
    optimizer = make_optimizer(config.optimizer)
    state = jax.jit(lambda: update.init_state(task, optimizer, 1))()._replace(
        params=load(tmp_path / "a", "best")["params"]
    )
    expected, _ = one_device(update.make_update(task, optimizer), 1)(state, task.batch(0))
    for x, y in zip(*map(jax.tree.leaves, (expected.params, load(tmp_path / "b")["params"])), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5)
    outcome, said = train(tmp_path / "b", steps=2)  # the start is remembered, and no longer asked for
    assert outcome.step == 2 and "Going on from step 1" in said[0]


def test_init_from_another_model_names_the_fields(tmp_path):
    train(tmp_path / "a", steps=5)
    config = toy_task.make_config()
    config.model.units = 9
    with pytest.raises(UserError, match=r"does not fit this model \(there -> here\): model.units: 5 -> 9$"):
        loop.train(toy_task.make_task(units=9), config, tmp_path / "b", print, str(tmp_path / "a"))
    with pytest.raises(UserError, match="does not exist"):
        train(tmp_path / "c", init_from=str(tmp_path / "nowhere"))
    train(tmp_path / "d", steps=5)
    with pytest.raises(UserError, match="was started from random parameters"):
        train(tmp_path / "d", steps=6, init_from=str(tmp_path / "a"))


# ---- several processes


@pytest.mark.more
def test_who_starts_a_run_again_is_told_how_far_it_is(tmp_path, monkeypatch):
    train(tmp_path / "untold", steps=4)
    monkeypatch.setenv("MCVAE_PROGRESS", str(tmp_path / "progress"))
    train(tmp_path / "run", steps=7, save_every=5, eval_every=10)
    first = (tmp_path / "progress").read_text()
    assert first == f"{tmp_path / 'run'} step 7\n"
    train(tmp_path / "run", steps=7, save_every=5, eval_every=10)  # nothing is left to do, and nothing is told
    monkeypatch.setenv("MCVAE_PROGRESS", str(tmp_path / "no folder" / "progress"))
    train(tmp_path / "run", steps=9, save_every=5, eval_every=10)
    assert (tmp_path / "progress").read_text() == first


def start_two(folder, **fields):
    """Two processes of two devices each."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "PYTHONUNBUFFERED": "1",
    }
    fields = [fields | {"distributed": f"{address},2,{i}"} for i in range(2)]
    commands = [[sys.executable, "-m", "tests.toy_task", str(folder), json.dumps(f)] for f in fields]
    return [subprocess.Popen(c, stdout=subprocess.PIPE, text=True, env=environment) for c in commands]


@pytest.mark.slow
def test_two_processes_stop_together_and_train_as_one(tmp_path):
    fields = dict(steps=300, eval_every=50, save_every=500)
    train(tmp_path / "one", **fields)
    first, second = start_two(tmp_path / "two", sleep=0.02, **fields)
    assert any("step 10/300" in line for line in first.stdout)
    second.terminate()
    said = [process.communicate(timeout=60)[0] for process in (first, second)]
    chatter = [line for line in said[1].splitlines() if not line.startswith("[Gloo]")]  # the library's own
    assert "Stopped at step" in said[0] and not chatter
    assert [process.returncode for process in (first, second)] == [128 + signal.SIGTERM] * 2
    first, second = start_two(tmp_path / "two", **fields)
    said = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert "Going on from step" in said[0] and "jit on 4 cpu devices" not in said[1] and "Done: step 300" in said[0]
    for x, y in zip(*map(jax.tree.leaves, (load(tmp_path / "one"), load(tmp_path / "two"))), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-4)


# ---- config, layouts, TensorBoard


@pytest.mark.parametrize(
    "fields", [{"steps": 0}, {"batch_size": 0}, {"batch_size": 2**21}, {"log_every": 0}, {"parallel": "pmapp"}]
)
def test_impossible_fields_are_refused_before_anything_is_written(tmp_path, fields):
    with pytest.raises(UserError, match=f"config.train.{list(fields)[0]}"):
        train(tmp_path / "run", **fields)
    assert not (tmp_path / "run").exists()


@pytest.mark.more
def test_a_run_may_go_on_under_the_other_layout(tmp_path):
    train(tmp_path / "whole", steps=40)
    train(tmp_path / "parts", steps=20, parallel="pmap")
    train(tmp_path / "parts", steps=40)
    for x, y in zip(*map(jax.tree.leaves, (load(tmp_path / "whole"), load(tmp_path / "parts"))), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)


def test_tensorboard(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(UserError, match="pip install tensorboardX"):
        train(tmp_path / "without", tensorboard=True)
    monkeypatch.undo()
    pytest.importorskip("tensorboardX")
    train(tmp_path / "with", steps=20, tensorboard=True)
    assert list((tmp_path / "with" / "tensorboard").glob("events.*"))
