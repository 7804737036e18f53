"""Command line -> config and options; every mistake in it is one clear line.

A config is given by the path of its file, or, where it is one of our own, by its name; those lie in configs/ of a
checkout, which a wheel has as mcvae_jax/configs.
"""

import difflib
import functools
import inspect
import os
import re
import runpy
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags
from ml_collections import ConfigDict, config_flags

from mcvae_jax.command import hint
from mcvae_jax.errors import UserError
from mcvae_jax.places import is_address


class Options(NamedTuple):
    """What `python -m mcvae_jax.main` was asked for."""

    config: ConfigDict
    workdir: str
    init_from: str
    distributed: str
    distributed_timeout: float | None  # seconds; None is `processes.SECONDS`
    code: str  # the folder in which a model of one's own may lie, see `code_folder`


def parse(argv: list[str]) -> Options:
    """Options of the arguments (without the program's name); UserError where they cannot be followed.

    Of a field that is given twice the last holds, since experiments change what they have set before.
    """
    chosen, others = _take_config(argv)
    if not chosen:
        raise UserError(
            f"Give --config={'|'.join(config_names())}, or the path of a config file; ':' and a preset may follow it."
        )
    config = load_config(chosen)
    _check_fields(config, argv)
    values = flags.FlagValues()
    for name in ("workdir", "init_from", "distributed"):
        flags.DEFINE_string(name, "", name, flag_values=values)
    flags.DEFINE_float("distributed_timeout", None, "seconds", 1.0, 86400.0, flag_values=values)
    try:
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=["main", *others])
        rest = values(["main", *others])[1:]
    except (flags.Error, ValueError) as error:
        raise UserError(_explain(error, config)) from error
    if rest:
        raise UserError(f"Unexpected argument {rest[0]!r}; options are written --name=value.")
    return Options(
        values.config,
        values.workdir or default_workdir(chosen),
        values.init_from,
        values.distributed,
        values.distributed_timeout,
        code_folder(find_config(chosen.partition(":")[0]), values.config.task),
    )


def code_folder(path: str, task: str) -> str:
    """The folder in which the module of a task 'MODULE:KIND' may lie: that of the config file.

    Where the file lies in a package and MODULE is named from above it, as 'experiments.mine:KIND', it is the folder
    above that has the first part of that name.
    """
    folder = Path(path).absolute().parent
    first = task.partition(":")[0].partition(".")[0]
    above = folder
    while (above / "__init__.py").is_file():
        above, name = above.parent, above.name
        if name == first:
            return str(above)
    return str(folder)


def load_config(chosen: str) -> ConfigDict:
    """What get_config of a config returns; UserError where there is no such thing, or it fails.

    Args:
      chosen: 'FILE.py' or the name of one of our own configs, as 'vae', with ':PRESET' behind it or not.
    """
    if is_address(chosen):
        raise UserError(f"--config={chosen} is an address; a config file is code, so give one of this machine.")
    name, colon, preset = chosen.partition(":")
    path = find_config(name)
    get_config = _call(path, chosen, lambda: runpy.run_path(path)).get("get_config")
    if not callable(get_config):
        raise UserError(f"{path} has no function get_config, so it is no config file.")
    takes = inspect.signature(get_config).parameters.values()
    if colon and not takes:
        raise UserError(f"{path} has no presets; leave out ':{preset}'.")
    if not colon and any(each.default is each.empty and each.kind == each.POSITIONAL_OR_KEYWORD for each in takes):
        raise UserError(f"{path} needs a preset: --config={path}:PRESET.")
    config = _call(path, chosen, lambda: get_config(preset) if colon else get_config())
    if not isinstance(config, ConfigDict):
        raise UserError(f"get_config of {path} returns {type(config).__name__}; it must return a ConfigDict.")
    if not isinstance(config.get("task"), str):
        raise UserError(f"The config of {path} has no task; config.task says what is trained, as 'vae' does.")
    return config


def find_config(name: str) -> str:
    """The path of the config file of a path or a name, 'vae' or 'vae.py'; a path comes first, UserError for neither."""
    if os.path.isfile(name):
        return name
    own = name.removesuffix(".py")
    if own in config_names():
        return str(_config_folder() / f"{own}.py")
    near = hint(Path(own).name, config_names())
    raise UserError(f"There is no config file {name}, and none of our own has that name: {near}")


def config_names() -> list[str]:
    """Our own configs: the files of that folder that have a get_config."""
    files = sorted(_config_folder().glob("*.py"))
    return [path.stem for path in files if "\ndef get_config(" in path.read_text("utf-8")]


def _config_folder() -> Path:
    """In the package where that was installed from a wheel; in a checkout beside it."""
    package = Path(__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def _call(path: str, chosen: str, run: Callable[[], Any]) -> Any:
    """run(), whose errors are those of a config file: a UserError that names its line, or what was chosen."""
    try:
        return run()
    except UserError:
        raise
    except SyntaxError as error:
        text = f": {error.text.strip()}" if error.text else ""
        place = f", line {error.lineno}" if error.lineno else ""
        raise UserError(f"{error.filename or path}{place}: {error.msg}{text}") from error
    except (Exception, SystemExit) as error:
        frames = [each for each in traceback.extract_tb(error.__traceback__) if each.filename == path]
        if isinstance(error, ValueError) and frames and (frames[-1].line or "").startswith("raise"):
            raise UserError(f"--config={chosen}: {error}") from error  # of a preset that there is not
        reason = (str(error).strip() or "without a message").splitlines()[0]
        place = f"{path}, line {frames[-1].lineno}" if frames else path
        hint = "; install it" if isinstance(error, ModuleNotFoundError) else ""
        raise UserError(f"{place}: {type(error).__name__}: {reason}{hint}") from error


def default_workdir(chosen: str) -> str:
    """'vae:smoke' or 'configs/vae.py:smoke' -> 'runs/vae-smoke'."""
    path, _, preset = chosen.partition(":")
    return f"runs/{Path(path).stem}-{preset or 'default'}"


def _take_config(argv: list[str]) -> tuple[str, list[str]]:
    """The value of the last '--config=value' or '--config value', '' where there is none, and all other arguments."""
    value, others, rest = "", [], iter(argv)
    for argument in rest:
        found = re.fullmatch(r"--?config(?:=(.*))?", argument)
        if not found:
            others.append(argument)
        else:
            value = next(rest, "") if found[1] is None else found[1]
    return value, others


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


def _explain(error: Exception, config: ConfigDict) -> str:
    """One line for a value of the wrong type, an unknown option, a missing value."""
    text = " ".join(str(error).split())
    found = re.match(r"flag --config\.([\w.]+)=(.*?): ", text)
    if not found:
        return f"{text}. python -m mcvae_jax.main --help lists the options."
    kind = type(functools.reduce(lambda node, part: node[part], found[1].split("."), config)).__name__
    return f"--config.{found[1]}={found[2]}: the value must be of type {kind}."
