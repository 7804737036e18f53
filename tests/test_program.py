"""The program `mcvae`: its commands are those of `python -m`, under shorter names."""

import re
import signal
import subprocess
import sys

import pytest

import mcvae_jax
from mcvae_jax import __main__ as program
from mcvae_jax.command import COMMANDS


@pytest.fixture
def typed(monkeypatch, capsys):
    """What `mcvae ARGUMENTS` prints, on stdout and stderr, and its exit status."""
    handler = signal.getsignal(signal.SIGINT)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["/usr/bin/mcvae", *arguments])
        with pytest.raises(SystemExit) as ended:
            program.main()
        said = capsys.readouterr()
        return said.out, said.err, ended.value.code

    yield run
    signal.signal(signal.SIGINT, handler)


def test_help_names_every_command_and_imports_no_library_that_takes_seconds():
    code = (
        "import sys\nsys.argv = ['mcvae', sys.argv[1]]\nfrom mcvae_jax.__main__ import main\n"
        "try:\n    main()\nfinally:\n    print(sorted({'jax', 'numpy', 'matplotlib'} & set(sys.modules)))"
    )
    for option in ("--help", "--version"):
        done = subprocess.run([sys.executable, "-c", code, option], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "") and done.stdout.endswith("\n[]\n")
        assert option == "--version" or all(f"\n  {name} " in done.stdout for name in COMMANDS)


def test_version_is_that_of_the_package(typed):
    out, err, status = typed("--version")
    assert out.startswith(f"mcvae_jax {mcvae_jax.__version__}") and ", jax " in out and (err, status) == ("", 0)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_speaks_of_itself_as_it_was_called(typed, name):
    out, err, status = typed(name, "--help")
    assert (err, status) == ("", 0) and f"mcvae {name} " in out
    others = set(re.findall(r"python -m (mcvae_jax[\w.]*)", out))
    assert not others & {module for module, _ in COMMANDS.values()}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a command: train, compose, "),
        (["trian"], r"there is no command trian: did you mean train\?"),
        (["sample"], r"there is no command sample: did you mean compose\?"),
        (["qqq"], "there is no command qqq: there are train, compose, "),
        (["--hepl"], "there is no command --hepl: "),
        (["compose", "--workdri=x"], "there is no option --workdri|required: --out"),
        (["train", "--config=mcave"], r"none of our own has that name: did you mean mcvae\?"),
        (["inspect"], r"Give .* mcvae inspect runs/vae-default"),
    ],
)
def test_mistakes_are_one_line(typed, arguments, message):
    out, err, status = typed(*arguments)
    assert (out, status, err.count("\n")) == ("", 2, 1) and re.search(message, err)


def test_what_is_said_elsewhere_stays_as_python_users_type_it(capsys):
    from mcvae_jax.command import say

    say("python -m mcvae_jax.inspect runs/x")
    assert capsys.readouterr().out == "python -m mcvae_jax.inspect runs/x\n"
