"""Pickled arrays of arrays, read without executing anything.

A pickle is a program: it names functions of any module and calls them, and so `numpy.load(allow_pickle=True)` on a
file from elsewhere does whatever its author wished. The public drawings are such files. Here the few names that numpy
itself writes lead to stand-ins, which note what they are given; every other name ends the reading before anything of
it is imported. Not even numpy's own functions are called from the pickle, since they trust the state that they are
given: arrays are made afterwards, from noted bytes, once type, shape and length fit.

`pickle._Unpickler` is the documented Unpickler in Python. The one in C sets aside memory for any index that a pickle
names, and so a file of 20 bytes can fill the machine.
"""

import pickle
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from mcvae_jax.errors import UserError
from mcvae_jax.text import brief

TYPES = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "b1")  # of the numbers that may be read
ORDERS = ("<", ">", "|", "=")


class Refused(UserError):
    """It is not what numpy writes of arrays of numbers."""


class _Named:
    """What a name of the table stands for: it can be called, and nothing else can be done with it."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise Refused("it changes a function")


class _Noted:
    """An array or a type of numbers that the pickle describes: what it is made of, and its state."""

    __slots__ = ("arguments", "state")

    def __init__(self, *arguments: Any) -> None:
        self.arguments, self.state = arguments, None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Type(_Noted):
    __slots__ = ()


class _Array(_Noted):
    __slots__ = ()


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """How bytes stand in pickles of the second protocol."""
    if encoding != "latin1" or not isinstance(text, str):
        raise Refused("it encodes text")
    return text.encode("latin1")


def _no_call(*arguments: Any) -> Any:
    raise Refused("it makes an array in a way that numpy does not")


NAMES = {
    ("numpy", "ndarray"): _Named(_no_call),  # an argument of _reconstruct
    ("numpy", "dtype"): _Named(_Type),
    ("numpy.core.multiarray", "_reconstruct"): _Named(_Array),
    ("numpy._core.multiarray", "_reconstruct"): _Named(_Array),  # since numpy 2
    ("_codecs", "encode"): _Named(_encode),
}


class _Reader(pickle._Unpickler):
    def find_class(self, module: Any, name: Any) -> Any:
        if (module, name) not in NAMES:
            raise Refused(f"it asks for {brief(f'{module}.{name}')}, and only arrays of numbers are read")
        return NAMES[module, name]

    def get_extension(self, code: int) -> None:
        raise Refused("it asks for a registered extension")


def read_arrays(file: BinaryIO, most: int) -> list[np.ndarray]:
    """The arrays of numbers in a pickled one-dimensional array of objects, or in a list of arrays.

    Args:
      file: at the beginning of the pickle; it ends with what may be read.
      most: numbers in all of them.

    Raises:
      Refused: it is anything else.
    """
    try:
        found = _Reader(file, encoding="latin1").load()
    except Refused:
        raise
    except Exception as error:  # of a damaged pickle: whatever the commands of one may stumble over
        raise Refused(f"it is damaged: {type(error).__name__}") from error
    items = _objects(found) if isinstance(found, _Array) else found
    if not isinstance(items, list):
        raise Refused("it is no list of arrays")
    arrays, left = [], most
    for item in items:
        arrays.append(_numbers(item, left))
        left -= arrays[-1].size
    return arrays


def _objects(array: _Array) -> list[Any]:
    """The items of an array of objects."""
    shape, kind, _, items = _state(array)
    if _code(kind) not in ("O", "O8") or len(shape) != 1 or not isinstance(items, list) or shape[0] != len(items):
        raise Refused("it is no list of arrays")
    return items


def _numbers(array: Any, most: int) -> np.ndarray:
    """An array of numbers, at most so many."""
    if not isinstance(array, _Array):
        raise Refused("one of its items is no array")
    shape, kind, by_columns, data = _state(array)
    code = _code(kind)
    if code not in TYPES or not isinstance(kind.state, tuple) or len(kind.state) < 2 or kind.state[1] not in ORDERS:
        raise Refused(f"one of its arrays has items of type {brief(code)}, which are no numbers")
    dtype = np.dtype(code).newbyteorder(kind.state[1])
    data = data.encode("latin1") if isinstance(data, str) else data  # written by Python 2
    size = 1
    for length in shape:
        size *= length
    if not isinstance(data, bytes) or size > most or len(data) != size * dtype.itemsize:
        raise Refused("one of its arrays has another number of items than its shape says, or too many")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if by_columns else "C")


def _state(array: _Array) -> tuple[tuple[int, ...], _Type, bool, Any]:
    """Shape, type, whether it is kept by columns, and what is in it, as numpy writes them."""
    state = array.state
    if not isinstance(state, tuple) or len(state) != 5:
        raise Refused("an array has no state")
    _, shape, kind, by_columns, data = state
    whole = isinstance(shape, tuple) and len(shape) <= 2 and all(type(n) is int and 0 <= n < 2**40 for n in shape)
    if not whole or not isinstance(kind, _Type) or not isinstance(by_columns, (bool, int)):
        raise Refused("an array has a state that numpy does not write")
    return shape, kind, bool(by_columns), data


def _code(kind: _Type) -> Any:
    """'i2', of numpy.dtype('i2', ...)."""
    return kind.arguments[0] if kind.arguments and isinstance(kind.arguments[0], str) else ""
