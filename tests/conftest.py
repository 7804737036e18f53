"""Settings of the whole test run, and what tests of several modules need."""

import atexit
import contextlib
import ctypes
import gc
import io
import itertools
import os
import pickle
import shutil
import signal
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image
from matplotlib.figure import Figure

from mcvae_jax.errors import UserError

# Compiling is most of the suite's time, and its arrays are tiny: without optimisation and fusion it takes a third.
os.environ.setdefault("JAX_PLATFORMS", "cpu")  # tolerances are those of float32 products, which a GPU rounds
NO_OPTIMISATION = "--xla_backend_optimization_level=0"
if tuple(map(int, version("jaxlib").split(".")[:3])) <= (0, 11, 0):  # a flag that XLA does not know ends the process
    NO_OPTIMISATION += " --xla_cpu_use_fusion_emitters=false"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {NO_OPTIMISATION}".strip()
# Tracing makes many objects and little garbage, and programs are lowered without the lines of their sources: a tenth.
gc.set_threshold(200_000, 20, 100)
os.environ.setdefault("JAX_INCLUDE_FULL_TRACEBACKS_IN_LOCATIONS", "0")
MOST_MEBIBYTES = 1200  # that a module may leave behind before garbage is collected
os.environ["MCVAE_COMPILED"] = "no"  # commands that tests start keep no programs in the cache of who tests
os.environ["MCVAE_NATIVE"] = "no"  # nor do they compile; tests/nn/test_native.py has a cache of its own
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # what modules and commands have in common is compiled once in a run
    COMPILED = tempfile.mkdtemp(prefix="mcvae-tests-")  # of the process that starts the others, which inherit it
    atexit.register(shutil.rmtree, COMPILED, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = COMPILED
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # else XLA speaks of each program that it loads
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts `pytest &` so, and what tests start inherits it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fuzz-minutes",
        type=float,
        default=0.0,
        help="with -m fuzz: how long the properties of tests/fuzz are tried, an equal share each, on random examples",
    )


def pytest_collection_finish() -> None:
    """What was imported stays to the end: collections need not look at it again, and cost next to nothing."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def programs_let_go():
    """A module's compiled programs are of no use to the next; kept, they fill memory and slow every later trace."""
    yield
    jax = sys.modules.get("jax")
    if jax is not None:
        jax.clear_caches()
        if resident_mebibytes() > MOST_MEBIBYTES:
            gc.collect()
            give_back()


def resident_mebibytes() -> float:
    """What this process holds; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        return 0.0


def give_back() -> None:
    """What was freed goes back to the system, where its library can do that: else it stays in many small holes."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


render = Figure.savefig


@contextlib.contextmanager
def rendering():
    """Pictures as users see them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", render)
        yield


@pytest.fixture(scope="session", autouse=True)
def sketches():
    """Pictures are composed and not rendered, which takes half a second; a test of pictures asks for `rendered`."""
    file = io.BytesIO()
    image.imsave(file, np.zeros((1, 1)), format="png")

    def save(figure, where, **how):
        if hasattr(where, "write"):
            where.write(file.getvalue())
        else:
            Path(where).write_bytes(file.getvalue())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", save)
        yield


@pytest.fixture
def rendered():
    """Pictures as users see them."""
    with rendering():
        yield


def read_chunks_here(function, chunks, workers, limits, failed):
    """children.map_chunks without children and limits: as they do a task, one after the other."""
    from mcvae_jax import child

    for task in itertools.chain.from_iterable(chunks):
        result = pickle.loads(child.answer_of(function, pickle.loads(pickle.dumps(task))))
        if isinstance(result, UserError):
            raise result
        yield failed(task, result) if isinstance(result, child.Failure) else result


@pytest.fixture(scope="module")
def read_here():
    """Files are read in this process, for tests of other things: to start a child takes a third of a second."""
    from mcvae_jax.corpus import builtin, read
    from mcvae_jax.sampling import seeds

    def call(function, task, limits):
        return next(read_chunks_here(function, [[task]], 1, limits, lambda task, failure: failure))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seeds, "call", call)
        for module in (builtin, read):
            patch.setattr(module, "map_chunks", read_chunks_here)
        yield


@pytest.fixture(scope="session")
def real_midi() -> Path:
    """The folder of real MIDI files; without one, the tests that need it are skipped and say so."""
    folder = os.environ.get("MCVAE_TEST_MIDI")
    if not folder:
        pytest.skip("set MCVAE_TEST_MIDI to a folder of MIDI files (with nottingham/ and pop909/) to test on them")
    return Path(folder)


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    """Where the browser of a module's tests saves files."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(tmp_path_factory, downloads):
    """Headless Chromium for all tests of a module; without it they are skipped."""
    from tests.browser import open_browser

    driver = open_browser(tmp_path_factory.mktemp("profile"), downloads)
    yield driver
    driver.quit()


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """Other machines that share a bucket, one after the other: `with elsewhere():`."""
    from tests.emulators import another_machine

    numbers = iter(range(100))
    return lambda: another_machine(monkeypatch, tmp_path / f"machine {next(numbers)}")
