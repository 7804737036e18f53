"""Hashes that need numpy alone: of the values of an array, and of integers, for notes and for the shifts of songs."""

from hashlib import blake2b

import numpy as np


def scramble(x: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014) on uint64: nearby numbers become unrelated ones."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def checksum(array: np.ndarray) -> str:
    """32 hex digits of the type, shape and values of an array."""
    digest = blake2b(f"{array.dtype.str} {array.shape}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
