"""Dictionaries of numpy arrays in pickled files, as flax packages keep their weights; nothing else is unpickled."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DiffilmError

BROKEN = (pickle.UnpicklingError, EOFError, KeyError, IndexError, AttributeError, TypeError, ValueError, OSError)


def read_arrays(path: str | Path, what: str, expected: str) -> dict[str, Any]:
    """The dictionary in `path`. Raises DiffilmError, naming `what` and `expected`, for a file with anything else."""
    path = Path(path)
    if not path.is_file():
        raise DiffilmError(f"{what} {path} do not exist: give {expected}")
    try:
        with path.open("rb") as file:
            found = _Arrays(file).load()
    except BROKEN as error:
        raise DiffilmError(f"{path} holds no {what} ({error}): give {expected}") from error
    if not isinstance(found, dict):
        raise DiffilmError(f"{path} holds no {what} (a {type(found).__name__}): give {expected}")
    return found


class _Arrays(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in (("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")):
            return np.empty(0).__reduce__()[0]
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"it holds {module}.{name}, which is no array")
