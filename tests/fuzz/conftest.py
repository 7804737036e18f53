"""How long properties are tried: a few examples that are always the same, or their share of --fuzz-minutes."""

import functools
import time

import hypothesis
import pytest

ROUND = 100  # examples between two looks at the clock

_tried = pytest.StashKey[dict[str, int]]()


def pytest_configure(config: pytest.Config) -> None:
    common = {"deadline": None, "suppress_health_check": list(hypothesis.HealthCheck), "print_blob": True}
    hypothesis.settings.register_profile("suite", max_examples=30, derandomize=True, database=None, **common)
    hypothesis.settings.register_profile("long", max_examples=ROUND, **common)
    hypothesis.settings.load_profile("long" if config.getoption("--fuzz-minutes") else "suite")
    config.stash[_tried] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Tries a property again and again, until its share of the time is over or it fails."""
    config, minutes = pyfuncitem.config, pyfuncitem.config.getoption("--fuzz-minutes")
    if not minutes or not hypothesis.is_hypothesis_test(pyfuncitem.obj):
        return None
    properties = sum(item.get_closest_marker("fuzz") is not None for item in pyfuncitem.session.items)
    end, tried = time.monotonic() + 60 * minutes / properties, config.stash[_tried]
    inner = pyfuncitem.obj.hypothesis.inner_test

    @functools.wraps(inner)
    def counted(*args, **kwargs):
        tried[pyfuncitem.nodeid] = tried.get(pyfuncitem.nodeid, 0) + 1
        return inner(*args, **kwargs)

    pyfuncitem.obj.hypothesis.inner_test = counted
    try:
        arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
        while time.monotonic() < end:
            pyfuncitem.obj(**arguments)
    finally:
        pyfuncitem.obj.hypothesis.inner_test = inner
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name, count in config.stash[_tried].items():
        terminalreporter.write_line(f"{count:9,} examples of {name}")
