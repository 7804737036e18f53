"""Command line -> config and options; every mistake in it is one clear line."""

import difflib
import functools
import re
import runpy
from pathlib import Path
from typing import NamedTuple

from absl import flags
from ml_collections import ConfigDict, config_flags

from mcvae_jax.errors import UserError


class Options(NamedTuple):
    """What `python -m mcvae_jax.main` was asked for."""

    config: ConfigDict
    workdir: str
    init_from: str
    distributed: str
    distributed_timeout: float | None  # seconds; None is `processes.SECONDS`


def parse(argv: list[str]) -> Options:
    """Options of the arguments (without the program's name); UserError where they cannot be followed."""
    chosen = _value_of("config", argv)
    if not chosen:
        raise UserError("Give --config=configs/vae.py, or another config file; ':' and a preset may follow it.")
    config = load_config(chosen)
    _check_fields(config, argv)
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values, lock_config=True, sys_argv=["main", *argv])
    for name in ("workdir", "init_from", "distributed"):
        flags.DEFINE_string(name, "", name, flag_values=values)
    flags.DEFINE_float("distributed_timeout", None, "seconds", 1.0, 86400.0, flag_values=values)
    try:
        rest = values(["main", *argv])[1:]
    except flags.Error as error:
        raise UserError(_explain(error, config)) from error
    if rest:
        raise UserError(f"Unexpected argument {rest[0]!r}; options are written --name=value.")
    return Options(
        values.config,
        values.workdir or default_workdir(chosen),
        values.init_from,
        values.distributed,
        values.distributed_timeout,
    )


def load_config(chosen: str) -> ConfigDict:
    """What get_config of 'FILE.py' or 'FILE.py:PRESET' returns; UserError where there is no such thing."""
    path, colon, preset = chosen.partition(":")
    if not Path(path).is_file():
        raise UserError(f"There is no config file {path}; run from the project's folder, or give the whole path.")
    get_config = runpy.run_path(path).get("get_config")
    if get_config is None:
        raise UserError(f"{path} has no function get_config, so it is no config file.")
    try:
        return get_config(preset) if colon else get_config()
    except ValueError as error:
        raise UserError(f"--config={chosen}: {error}") from error


def default_workdir(chosen: str) -> str:
    """'configs/vae.py:smoke' -> 'runs/vae-smoke'."""
    path, _, preset = chosen.partition(":")
    return f"runs/{Path(path).stem}-{preset or 'default'}"


def _value_of(name: str, argv: list[str]) -> str:
    """The value of '--name=value' or '--name value', '' where there is none."""
    for i, argument in enumerate(argv):
        found = re.fullmatch(rf"--?{name}(?:=(.*))?", argument)
        if found:
            return (found[1] if "=" in argument else "".join(argv[i + 1 : i + 2])) or ""
    return ""


def _check_fields(config: ConfigDict, argv: list[str]) -> None:
    """UserError for the first '--config.a.b' that is not a field, with near names."""
    for argument in argv:
        found = re.match(r"--?(?:no)?config\.([^=]*)", argument)
        node = config
        for part in found[1].split(".") if found else ():
            names = list(node.keys()) if isinstance(node, ConfigDict) else []
            if part not in names:
                near = difflib.get_close_matches(part, names, n=3, cutoff=0.5)
                hint = f"Did you mean {' or '.join(near)}?" if near else f"There are {', '.join(names) or 'none'}."
                raise UserError(f"{argument}: the config has no field {part!r} there. {hint}")
            node = node[part]
        if isinstance(node, ConfigDict) and node is not config:
            raise UserError(f"{argument}: this is a section; give one of its fields: {', '.join(node.keys())}.")


def _explain(error: flags.Error, config: ConfigDict) -> str:
    """One line for a value of the wrong type, an unknown option, a missing value."""
    text = " ".join(str(error).split())
    found = re.match(r"flag --config\.([\w.]+)=(.*?): ", text)
    if not found:
        return f"{text}. python -m mcvae_jax.main --help lists the options."
    kind = type(functools.reduce(lambda node, part: node[part], found[1].split("."), config)).__name__
    return f"--config.{found[1]}={found[2]}: the value must be of type {kind}."
