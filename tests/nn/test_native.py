"""LSTM layers in native code against the same layer in float64, and what is done where there is no native code."""

import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mcvae_jax import versions
from mcvae_jax.kinds import open_model
from mcvae_jax.nn import native
from mcvae_jax.nn.lstm import lstm
from mcvae_jax.nn.native import build
from mcvae_jax.storage.workdir import Workdir
from tests.small_models import save_corpus

F32, BF16 = jnp.float32, jnp.bfloat16


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def ready(cache):
    """Native code is ready in this module, and in no other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MCVAE_CACHE", str(cache))
        patch.setenv(native.OFF, "")
        patch.setattr(jax, "local_device_count", lambda: 1)
        try:
            build.compiler()
        except build.Unavailable as why:
            pytest.skip(str(why))
        said = []
        assert native.prepare(said.append), said
        yield said
        native._found.clear()
        versions._noted.clear()
        jax.clear_caches()


def layer(steps, batch, units, masked=True):
    """Arguments of a layer, and the weights of a sum of what it gives."""
    keys = jax.random.split(jax.random.key(steps * batch + units), 11)
    gates = tuple(jax.random.normal(key, (steps, batch, units)) for key in keys[:4])
    w_h = jax.random.normal(keys[4], (4, units, units)) / units**0.5
    h0, c0 = jax.random.normal(keys[5], (2, batch, units))
    mask = jax.random.bernoulli(keys[6], 0.7, (batch, units)) / 0.7 if masked else None
    weights = jax.random.normal(keys[7], (steps, batch, units)), *jax.random.normal(keys[8], (2, batch, units))
    return (gates, w_h, h0, c0), mask, weights


def values_and_gradients(arguments, mask, weights, dtype, reverse):
    """What a layer gives, and the gradients of a weighted sum of it, as one list of arrays."""

    def weighted(gates, w_h, h0, c0):
        hidden, (h, c) = lstm(gates, w_h, h0, c0, dtype=dtype, gate_mask=mask, reverse=reverse)
        return sum(jnp.vdot(w, x) for w, x in zip(weights, (hidden, h, c), strict=True)), (hidden, h, c)

    (_, values), gradients = jax.jit(jax.value_and_grad(weighted, argnums=(0, 1, 2, 3), has_aux=True))(*arguments)
    return [np.asarray(x) for x in jax.tree.leaves((values, gradients))]


def in_float64(arguments, mask, weights, reverse):
    """The same by the scan in float64."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "fits", lambda gates, dtype: False)
        jax.config.update("jax_enable_x64", True)
        try:
            wide = jax.tree.map(lambda x: jnp.asarray(np.asarray(x, np.float64)), (arguments, mask, weights))
            found = values_and_gradients(*wide, jnp.float64, reverse)
        finally:
            jax.config.update("jax_enable_x64", False)
    assert all(x.dtype == np.float64 for x in found)
    return found


@functools.cache
def exact(steps, batch, units, reverse):
    """What all widths of registers are held against."""
    return in_float64(*layer(steps, batch, units), reverse)


@pytest.fixture(params=[4, 8, 16])
def lanes(request, ready):
    """The functions for processors with so many lanes in a register, where this one has them."""
    choose = native._found[build.digest()].code.lstm_choose_lanes
    chosen = choose(request.param)
    if chosen != request.param:
        pytest.skip(f"this processor has no registers of {request.param} floats")
    yield chosen
    choose(16)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps, batch, units", [(4, 1, 64), (16, 33, 128), (5, 130, 192)])
def test_values_and_gradients_are_those_of_float64(lanes, steps, batch, units, reverse):
    work = layer(steps, batch, units)
    assert native.fits(work[0][0][0], F32)
    mine = values_and_gradients(*work, F32, reverse)
    for x, oracle in zip(mine, exact(steps, batch, units, reverse), strict=True):
        assert np.max(np.abs(x - oracle)) < 3e-6 * np.max(np.abs(oracle))


@pytest.mark.more
def test_bfloat16_is_as_near_to_float64_as_the_scan(ready, monkeypatch):
    work = layer(6, 70, 128, masked=False)
    if not native.fits(work[0][0][0], BF16):
        pytest.skip("this processor has no instructions for bfloat16 that native code uses")
    oracle = in_float64(*work, False)
    mine = values_and_gradients(*work, BF16, False)
    with monkeypatch.context() as patch:
        patch.setattr(native, "fits", lambda gates, dtype: False)
        scan = values_and_gradients(*work, BF16, False)
    for a, b, c in zip(mine, scan, oracle, strict=True):
        assert 0 < np.max(np.abs(a - c)) < 1.5 * np.max(np.abs(b - c))


@pytest.mark.more
def test_extreme_numbers_are_those_of_the_scan(ready, monkeypatch):
    (gates, w_h, h0, c0), _, _ = layer(4, 3, 64)
    extreme = jnp.resize(jnp.array([0.0, 1e-30, -1e-6, 30.0, -200.0, 1e30, -1e30, jnp.inf, -jnp.inf]), gates[0].shape)
    gates = tuple(jnp.roll(extreme, n, axis=-1) for n in range(4))
    mine, _ = lstm(gates, w_h * 0, h0, c0, dtype=F32)
    monkeypatch.setattr(native, "fits", lambda gates, dtype: False)
    scan, _ = lstm(gates, w_h * 0, h0, c0, dtype=F32)
    np.testing.assert_allclose(mine, scan, atol=1e-6)


@pytest.mark.more
def test_not_a_number_is_not_hidden(ready):
    (gates, w_h, h0, c0), _, _ = layer(4, 3, 64)
    gates = tuple(g.at[2, 1, 5].set(jnp.nan) for g in gates)
    hidden, (h, _) = lstm(gates, w_h, h0, c0, dtype=F32)
    wrong = np.isnan(np.asarray(hidden))
    assert wrong[2, 1, 5] and wrong[3, 1].all() and np.isnan(h[1]).all()  # what is seen of it is all of the next step
    assert not wrong[:2].any() and not wrong[:, [0, 2]].any()


@pytest.mark.more
def test_rows_do_not_depend_on_their_batch(ready):
    (gates, w_h, h0, c0), _, _ = layer(6, 130, 64)
    run = jax.jit(lambda g, h, c: lstm(g, w_h, h, c, dtype=F32)[0])
    whole = run(gates, h0, c0)
    part = run(tuple(g[:, 40:77] for g in gates), h0[40:77], c0[40:77])
    np.testing.assert_array_equal(whole[:, 40:77], part)


@pytest.mark.more
def test_vmap_and_many_threads_at_once(ready):
    (gates, w_h, h0, c0), _, _ = layer(4, 6, 64)
    run = jax.jit(jax.vmap(lambda *g: lstm(g, w_h, h0, c0, dtype=F32)[0]))
    many = tuple(jnp.stack([g, 2 * g, -g]) for g in gates)
    for n, factor in enumerate((1, 2, -1)):
        single, _ = lstm(tuple(factor * g for g in gates), w_h, h0, c0, dtype=F32)
        np.testing.assert_array_equal(run(*many)[n], single)


@pytest.mark.more
@pytest.mark.parametrize("steps, units, dtype", [(3, 64, F32), (8, 65, F32), (8, 32, F32), (8, 64, jnp.float16)])
def test_what_does_not_fit_is_left_to_the_scan(ready, steps, units, dtype):
    assert not native.fits(jnp.zeros((steps, 2, units)), dtype)
    if dtype == F32:
        (gates, w_h, h0, c0), _, _ = layer(steps, 2, units)
        assert lstm(gates, w_h, h0, c0, dtype=dtype)[0].shape == (steps, 2, units)


@pytest.mark.more
def test_no_sequences_are_none(ready):
    (gates, w_h, h0, c0), _, _ = layer(4, 3, 64)
    hidden, (h, _) = lstm(tuple(g[:, :0] for g in gates), w_h, h0[:0], c0[:0], dtype=F32)
    assert hidden.shape == (4, 0, 64) and h.shape == (0, 64)


@pytest.mark.more
def test_it_is_compiled_once_and_recorded(ready, cache):
    assert ready == ["Compiling the LSTM for this processor, once ..."]
    assert [path.name for path in (cache / "native").iterdir()] == [f"lstm-{build.digest()}.so"]
    assert versions.here()["lstm"] == "native code"
    said = []
    assert build.library(said.append).is_file() and not said


def run_elsewhere(cache, code="", **variables):
    """What a process says that prepares native code and then tells whether it is ready."""
    code = f"from mcvae_jax.nn import native\n{code}\nnative.prepare(print)\nprint(native.ready())"
    env = os.environ | {"MCVAE_CACHE": str(cache), native.OFF: "", **variables}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.more
def test_without_a_compiler_one_line_says_so(tmp_path):
    line, state = run_elsewhere(tmp_path, CXX="no-such-compiler -O1")
    assert state == "False"
    assert "no C++ compiler is here (no-such-compiler -O1)" in line and "MCVAE_NATIVE=no" in line


@pytest.mark.more
def test_a_compiler_that_fails_is_quoted(tmp_path):
    compiler = tmp_path / "compiler"
    compiler.write_text("#!/bin/sh\necho 'lstm.cc:1: error: no room for vectors' >&2\nexit 1\n")
    compiler.chmod(0o755)
    *_, line, state = run_elsewhere(tmp_path, CXX=str(compiler))
    assert state == "False" and "no room for vectors" in line
    assert list((tmp_path / "native").iterdir()) == []


@pytest.mark.more
def test_a_damaged_library_is_said(tmp_path):
    (tmp_path / "native").mkdir()
    (tmp_path / "native" / f"lstm-{build.digest()}.so").write_bytes(b"no library")
    line, state = run_elsewhere(tmp_path)
    assert state == "False" and "cannot be loaded" in line


@pytest.mark.more
def test_it_can_be_left_out_and_several_devices_leave_it_out(tmp_path):
    assert run_elsewhere(tmp_path, MCVAE_NATIVE="no") == ["False"]
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2"
    assert run_elsewhere(tmp_path, XLA_FLAGS=flags) == ["False"]


@pytest.mark.more
@pytest.mark.slow
def test_a_training_goes_on_with_the_same_bits(ready, cache, tmp_path):
    save_corpus(tmp_path / "corpus")
    options = (
        "--config=note_lstm:smoke --config.corpus_folder=corpus --config.corpus.source=tests --config.model.units=64"
        " --config.model.matmul_dtype=float32 --config.model.layers=1 --config.train.batch_size=2"
        " --config.data.min_bars=4 --config.train.eval_every=2"
    ).split()
    for workdir, steps in (("whole", 4), ("parts", 2), ("parts", 4)):
        command = [sys.executable, "-m", "mcvae_jax.main", *options, f"--config.train.steps={steps}"]
        env = os.environ | {"MCVAE_CACHE": str(cache), native.OFF: ""}
        done = subprocess.run(
            [*command, f"--workdir={workdir}"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
    whole, parts = (open_model(tmp_path / name).origins for name in ("whole", "parts"))
    assert [each.identity for each in whole.values()] == [each.identity for each in parts.values()]
    (environment,) = Workdir(tmp_path / "parts").stored().record.environments
    assert environment["on"]["lstm"] == "native code"
