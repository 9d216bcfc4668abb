"""Weights in torch's pickled files, read without running what is in them."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import DiffilmError

SUFFIXES = (".ckpt", ".pth", ".pt", ".bin")
STATE, OPTIMIZER = "state_dict", "opt"
DEPTH = 4  # of dicts in dicts that are looked into

_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")


class _Inert:
    """Takes the place of a trainer's bookkeeping; does nothing, whatever it is called with."""

    def __new__(cls, *args: Any, **kwargs: Any) -> _Inert:
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None: ...


def _stand_ins() -> list[Any]:
    """What published Lightning files keep beside their tensors, by the name under which it is pickled."""
    names = (
        "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
        "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
        "numpy.core.multiarray.scalar",
        "numpy._core.multiarray.scalar",
        "numpy.dtype",
        "_codecs.encode",
    )
    inert: list[Any] = [(type("Inert", (_Inert,), {}), name) for name in names]
    return [*inert, (dict, "pytorch_lightning.utilities.parsing.AttributeDict")]


def read_pickle(path: Path, *, meta: bool = False) -> dict[str, Tensor]:
    """The tensors of a .ckpt, .pth, .pt or .bin, memory-mapped where its format can be, or names and shapes alone.

    Wrappers are opened: `state_dict` where there is one, else every dict of tensors, named `wrapper.tensor` where there
    are several. Raises DiffilmError for a file that is missing, cut short, none, or holds more than data.
    """
    if not path.is_file():
        raise DiffilmError(f"model file {path} does not exist: give the path of a model")
    try:
        with torch.serialization.safe_globals(_stand_ins()):
            loaded = _load(path, "meta" if meta else "cpu")
    except pickle.UnpicklingError as error:
        raise DiffilmError(_refusal(path, str(error))) from error
    except OSError:
        raise
    except (RuntimeError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError,
            ImportError, NotImplementedError, OverflowError, RecursionError, UnicodeError) as error:  # fmt: skip
        raise DiffilmError(
            f"{path} is truncated or no weights of torch ({path.stat().st_size} bytes): get it again"
        ) from error
    tensors = _flat(loaded)
    for name, tensor in tensors.items():
        _check_storage(path, name, tensor)
    return tensors


def _check_storage(path: Path, name: str, tensor: Tensor) -> None:
    """DiffilmError for a tensor that is no plain array, or claims more numbers than the file holds for it."""
    if tensor.layout is not torch.strided or tensor.is_quantized:
        raise DiffilmError(f"{path} keeps {name} sparse or quantized, expected plain numbers: get another file of it")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise DiffilmError(f"{path} claims {tensor.numel()} numbers for {name} and holds fewer: get it again")


def _load(path: Path, where: str) -> Any:
    with path.open("rb") as file:
        zipped = file.read(4) == b"PK\x03\x04"
    return torch.load(path, map_location=where, weights_only=True, mmap=zipped)


def _refusal(path: Path, reason: str) -> str:
    if "nsupported" in reason and (match := _GLOBAL.search(reason)):
        return (
            f"{path} holds more than weights: it asks for {match[1]}, which could run code; nothing of it was run; "
            "get the model as .safetensors"
        )
    return f"{path} is no file of weights (not a pickle of tensors): get it again, as .safetensors where there is one"


def _flat(loaded: Any) -> dict[str, Tensor]:
    """Tensors by name, out of wrappers."""
    if not isinstance(loaded, Mapping):
        return {}
    for _ in range(DEPTH):
        if isinstance(loaded.get(STATE), Mapping):
            loaded = loaded[STATE]
            continue
        dicts = [v for k, v in loaded.items() if isinstance(v, Mapping) and not str(k).startswith(OPTIMIZER)]
        inner = [value for value in dicts if _joined(value, DEPTH)]
        if len(inner) != 1 or any(isinstance(value, Tensor) and value.ndim for value in loaded.values()):
            break
        loaded = inner[0]
    return _joined(loaded, DEPTH)


def _joined(values: Mapping[Any, Any], depth: int) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for key, value in values.items():
        if isinstance(value, Tensor):
            found[str(key)] = value
        elif isinstance(value, Mapping) and depth:
            found |= {f"{key}.{name}": tensor for name, tensor in _joined(value, depth - 1).items()}
    return found
