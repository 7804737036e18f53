"""The benchmark: PyTorch's side computes what ours computes, rounds are timed rightly, and records say what was."""

import json
import math
import sys

import jax
import numpy as np
import pytest

from experiments import benchmark
from experiments.speed import contender, ours
from experiments.speed.record import flops, row, table, whole
from experiments.speed.rounds import Measured, compete, ratio, run_commands
from experiments.speed.work import Sizes, Work, random_bars, timed
from mcvae_jax.errors import UserError
from mcvae_jax.models import mixture_prior, vae
from mcvae_jax.models.mdrnn import MDRNN
from mcvae_jax.models.vae import VAE, Noise
from mcvae_jax.nn import mixture
from mcvae_jax.nn.layers import applied
from mcvae_jax.nn.stop import stop_nats
from tests.random_params import random_params

SMALL = Sizes("train", units=6, batch=3, latent=4, layers=2, bars=5, components=3)


def lstm_weights(torch, module, suffix, layer):
    """Ours as PyTorch's: gates stand in the same order, inputs side by side, the bias once."""
    inputs = np.concatenate([np.asarray(layer[name]) for name in sorted(layer) if name.startswith("w_x")], axis=1)
    for name, value in (
        (f"weight_ih_{suffix}", np.concatenate([w.T for w in inputs])),
        (f"weight_hh_{suffix}", np.concatenate([w.T for w in np.asarray(layer["w_h"])])),
        (f"bias_ih_{suffix}", np.asarray(layer["b"]).reshape(-1)),
        (f"bias_hh_{suffix}", np.zeros(layer["b"].size)),
    ):
        getattr(module, name).copy_(torch.tensor(value))


def dense_weights(torch, module, *layers):
    module.weight.copy_(torch.tensor(np.concatenate([np.asarray(each["w"]).T for each in layers])))
    module.bias.copy_(torch.tensor(np.concatenate([np.asarray(each["b"]) for each in layers])))


@pytest.fixture
def peers():
    pytest.importorskip("torch")
    from experiments.speed import peers

    return peers


@pytest.mark.slow
def test_the_vae_of_pytorch_has_the_loss_and_the_gradients_of_ours(peers):
    torch = peers.torch
    network = ours.bar_vae(SMALL)
    params = random_params(lambda key: vae.init(network, key))
    bars, eps = random_bars(SMALL.batch), np.random.default_rng(1).normal(size=(SMALL.batch, SMALL.latent))

    def loss(params):
        noise = Noise(eps.astype(np.float32), None, None, None, None)
        mu, log_var, predicted = applied(network, VAE.__call__, params, bars, noise)
        kl = 0.5 * (mu**2 + jax.numpy.exp(log_var) - 1 - log_var).sum()
        return (kl - predicted.log_p.sum()) / SMALL.batch

    value, gradient = jax.jit(jax.value_and_grad(loss))(params)
    model, known = peers.BarVAE(SMALL).double(), params["params"]
    with torch.no_grad():
        for n in range(SMALL.layers):
            for d, way in enumerate(("", "_reverse")):
                lstm_weights(torch, model.encoder, f"l{n}{way}", known[f"encoder_{n}_{d}"])
            lstm_weights(torch, model.decoder, f"l{n}", known[f"decoder_{n}"])
        dense_weights(torch, model.moments, known["mu"], known["log_var"])
        dense_weights(torch, model.first, known["first_states"])
        dense_weights(torch, model.logits, known["logits"])
    theirs = model(torch.tensor(bars.astype(np.int64)), torch.tensor(eps))
    theirs.backward()
    assert float(value) == pytest.approx(float(theirs.detach()), rel=1e-5)
    for mine, of_torch in (("logits", model.logits), ("first_states", model.first)):
        np.testing.assert_allclose(gradient["params"][mine]["w"].T, of_torch.weight.grad, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(
        np.concatenate([w.T for w in np.asarray(gradient["params"]["encoder_0_1"]["w_h"])]),
        model.encoder.weight_hh_l0_reverse.grad,
        rtol=1e-3,
        atol=1e-5,
    )


@pytest.mark.slow
def test_the_mdrnn_of_pytorch_has_the_loss_of_ours(peers):
    torch = peers.torch
    network = ours.mdrnn(SMALL)
    params = random_params(lambda key: mixture_prior.init(network, key))
    known = params["params"] | {"mean": np.zeros(SMALL.latent), "scale": np.ones(SMALL.latent)}
    known |= {name: known[name[9:]] for name in mixture_prior.STANDARD}
    z = np.random.default_rng(2).normal(size=(SMALL.batch, SMALL.bars, SMALL.latent)).astype(np.float32)
    said = applied(network, MDRNN.unroll, {"params": known}, z)
    ones = np.ones(z.shape[:2])
    nats = stop_nats(said.stop_logit, ones, np.ones(SMALL.batch)) - mixture.log_density(said.mixture, z)
    model = peers.MDRNN(SMALL).double()
    with torch.no_grad():
        model.start.copy_(torch.tensor(np.asarray(known["start"])))
        for n in range(SMALL.layers):
            lstm_weights(torch, model.lstm, f"l{n}", known[f"lstm_{n}"])
        dense_weights(torch, model.heads, known["heads"])
    nothing = torch.zeros(z.shape, dtype=torch.float64)
    assert float(model(torch.tensor(z).double(), nothing, nothing).detach()) == pytest.approx(
        float(nats.mean()), rel=1e-5
    )


@pytest.mark.parametrize("what", ["train", "mdrnn", "encode", "compose"])
@pytest.mark.slow
def test_both_sides_work(peers, what):
    sizes = Sizes(what, units=4, batch=2, latent=2, layers=1, bars=2, components=2, songs=3)
    for side in ("ours", "torch"):
        items, seconds = timed(contender.maker(what, side)(sizes), 0.0)
        assert items == {"train": 2, "mdrnn": 4, "encode": 4096, "compose": 3}[what] and seconds > 0


def test_work_is_timed_until_the_device_is_done():
    done, waited = [], []
    items, seconds = timed(Work(3.0, lambda: done.append(1), lambda: waited.append(len(done))), 0.05)
    assert items == 3 * len(done) and waited[-1] == len(done) and seconds >= 0.05


def test_the_operations_of_a_step_are_those_of_its_products():
    """Counted by hand for one layer of one unit: encoder 2 x 4, decoder 4 + 130, for 16 slots, forwards and back."""
    one = Sizes("train", units=1, latent=1, layers=1)
    assert flops(one) == 6 * 16 * (8 + 4 + 130)
    assert flops(Sizes("mdrnn", units=1, latent=1, layers=1, components=2)) == 6 * (4 + 4 + 7)


def test_the_interval_of_a_ratio_is_that_of_its_log():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(300):
        noise = rng.normal(size=(2, 4)) * 0.1
        _, low, high = ratio(*np.exp(np.log([[3.0], [2.0]]) + noise))
        inside += low < 1.5 < high
    assert 0.9 < inside / 300 < 0.99
    assert math.isnan(ratio([2.0], [1.0])[1])


@pytest.mark.more
def test_what_fails_is_told_and_the_others_go_on(monkeypatch):
    monkeypatch.setitem(contender.SIDES, "read", {"ours": "ours:read", "nobody": "nobody:read"})
    found = compete("read", ["ours", "nobody"], Sizes("read", source="nowhere"), 2, 0.0)
    assert found["ours"].failed.startswith("UserError: ") and "nobody" in found["nobody"].failed
    lines = table(whole({"rounds": 2}, [row(Sizes("read"), found)]))
    assert sum("nobody" in line for line in lines) == 1


def test_commands_are_timed_whole(tmp_path):
    slow = [sys.executable, "-c", "import time; time.sleep(0.3)"]
    wrong = [sys.executable, "-c", "import sys; sys.exit('no such thing')"]
    found = run_commands({"slow": slow, "wrong": wrong}, 2, {})
    assert len(found["slow"].rates) == 2 and 1 / max(found["slow"].rates) > 0.3 and found["slow"].peak_bytes > 1e6
    assert found["wrong"].failed.endswith("no such thing") and not found["wrong"].rates


@pytest.mark.slow
def test_files_are_read_and_the_record_holds_every_round(tmp_path, real_midi, capsys):
    folder = tmp_path / "music"
    folder.mkdir()
    for path in sorted((real_midi / "nottingham").glob("*.mid"))[:3]:
        (folder / path.name).write_bytes(path.read_bytes())
    benchmark.main([f"--out={tmp_path / 'out'}", "--what=read", f"--source={folder}", "--rounds=2", "--seconds=1"])
    record = json.loads((tmp_path / "out" / "record.json").read_text())
    sides = record["rows"][0]["sides"]
    assert len(sides["ours"]["rates"]) == len(sides["mido"]["rates"]) == 2
    middle, low, high = record["rows"][0]["ratios"]["mido"]
    assert low < middle < high and record["machine"]["cores"] >= 1 and record["versions"]["mido"]
    assert "| read | mido |" in (tmp_path / "out" / "table.md").read_text()


@pytest.mark.more
def test_scans_in_place_of_native_code_are_said(tmp_path, monkeypatch):
    for name, value in {"CXX": "no-such-compiler", "MCVAE_NATIVE": "", "MCVAE_CACHE": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    sizes = Sizes("encode", units=4, latent=2, layers=1)
    measured = compete("encode", ["ours"], sizes, 1, 0.0)
    assert measured["ours"].rates and "no C++ compiler is here" in measured["ours"].remark
    told = table(whole({"rounds": 1}, [row(sizes, measured)]))
    assert any(line.startswith("ours: LSTM layers run as scans of XLA") for line in told)


@pytest.mark.usefixtures("rendered")
def test_growth_is_drawn_where_a_size_grows(tmp_path):
    def measured(rate):
        return {"ours": Measured([rate, rate]), "torch": Measured([2 * rate] * 2)}

    rows = [row(Sizes("train", batch=batch), measured(float(batch))) for batch in (16, 64)]
    assert benchmark.draw_growth(tmp_path / "growth.png", rows) and (tmp_path / "growth.png").stat().st_size > 1000
    assert not benchmark.draw_growth(tmp_path / "none.png", rows[:1])
    assert rows[0]["ratios"]["torch"][0] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--what=trains"], "--what=trains: there are train, mdrnn"),
        (["--what="], "--what is empty"),
        (["--units=0"], "--units is 0; it must be from 1 to"),
        (["--batch=1,x"], "give whole numbers"),
        (["--dtype=float16"], "--dtype=float16: there are float32, bfloat16"),
        (["--what=read"], "--what=read asks for --source"),
        (["--what=evaluate"], "--what=evaluate asks for --workdir"),
        (["--what=read", "--source=nowhere"], "there is no 'nowhere'"),
        (["--rounds=0"], "it must be from 1 to"),
    ],
)
def test_mistakes_are_one_line(tmp_path, argv, message):
    with pytest.raises(UserError, match=message) as caught:
        benchmark.main([f"--out={tmp_path / 'out'}", *argv])
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()
