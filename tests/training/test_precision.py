"""Which number format 'auto' is, and that a run keeps what it began with."""

import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

from mcvae_jax import versions
from mcvae_jax.errors import UserError
from mcvae_jax.nn import precision
from mcvae_jax.nn.layers import operand_dtype
from mcvae_jax.options import load_config
from mcvae_jax.training.precision import settled


@pytest.fixture
def processor(monkeypatch, tmp_path):
    """A machine whose processor has such instructions."""

    def of(flags, platform="cpu", jaxlib="0.12.1"):
        (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags\t\t: fpu {flags}\n")
        monkeypatch.setattr(versions, "CPUINFO", tmp_path / "cpuinfo")
        monkeypatch.setattr(jax, "devices", lambda: [SimpleNamespace(platform=platform, device_kind="Some GPU")])
        monkeypatch.setattr(precision, "version", lambda name: jaxlib)
        precision.fastest.cache_clear()

    yield of
    precision.fastest.cache_clear()


@pytest.mark.parametrize(
    ("flags", "platform", "name"),
    [
        ("avx2 amx_bf16", "cpu", "bfloat16"),
        ("avx512f avx512_bf16", "cpu", "bfloat16"),
        ("avx2 avx512f", "cpu", "float32"),
        ("avx2", "gpu", "bfloat16"),
        ("", "tpu", "bfloat16"),
    ],
)
def test_the_fastest_format_is_that_of_the_device(processor, flags, platform, name):
    processor(flags, platform)
    assert precision.fastest()[0] == name and operand_dtype("auto") == jnp.dtype(name)


def test_where_jaxlib_has_no_bfloat16_products_it_is_float32_and_who_asks_is_told(processor, tmp_path):
    processor("amx_bf16", jaxlib="0.7.2")
    assert precision.fastest()[0] == "float32"
    config = load_config("configs/note_lstm.py:smoke")
    config.model.matmul_dtype = "bfloat16"
    with pytest.raises(UserError, match="jaxlib 0.7.2 has no bfloat16 for all products on CPUs"):
        settled(config, tmp_path)
    processor("", "gpu", jaxlib="0.7.2")
    assert settled(config, tmp_path) is config


def test_where_the_processor_is_unknown_it_is_float32(processor, monkeypatch, tmp_path):
    processor("amx_bf16")
    monkeypatch.setattr(versions, "CPUINFO", tmp_path / "nowhere")
    assert precision.fastest()[0] == "float32"


def test_a_run_records_its_format_says_it_and_goes_on_with_it_elsewhere(processor, tmp_path, capsys):
    """The second call is on a machine that would choose the other format."""
    said, formats = [], []
    config = load_config("configs/note_lstm.py:smoke")
    for flags in ("avx2", "amx_bf16"):
        processor(flags)
        said.clear()
        chosen = settled(config, tmp_path / "run", said.append)
        formats.append(chosen.model.matmul_dtype)
        (tmp_path / "run").mkdir(exist_ok=True)
        record = {
            "config": chosen.to_dict(),
            "data": {},
            "init_from": "",
            "command": "",
            "code": "",
            "environments": [],
        }
        (tmp_path / "run" / "config.json").write_text(json.dumps(record))
        assert len(said) == 1 and said[0].startswith("Products are computed in float32 (")
    assert formats == ["float32", "float32"] and config.model.matmul_dtype == "auto"
    assert settled(chosen, tmp_path / "run", said.append) is chosen and len(said) == 1


def test_another_word_is_a_mistake():
    with pytest.raises(UserError, match="'auto', 'float32' or 'bfloat16', not 'half'"):
        operand_dtype("half")
