"""Which RIFE a file holds, told by its tensors' names and shapes, and the network filled with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from ...errors import DiffilmError
from .rife3 import Rife31, Rife35
from .rife4 import Rife4, Rife4Config

PREFIXES = ("module.", "flownet.")
TEACHERS = ("block_tea.", "teacher.", "caltime.")
UNUSED = ("contextnet.", "unet.")  # of 4.0, whose authors leave the refinement out
PARTS = {"flownet": "flownet.pkl", "contextnet": "contextnet.pkl", "fusionnet": "unet.pkl"}
Tensors = Mapping[str, Tensor]


def plain_names(tensors: Tensors) -> dict[str, Tensor]:
    """Without the prefixes of distributed training and of the host's layout, and without the teacher of training."""
    out = {}
    for name, tensor in tensors.items():
        for prefix in PREFIXES:
            name = name.removeprefix(prefix)
        if name.startswith("blocks."):
            name = "block" + name.removeprefix("blocks.")
        if not name.startswith(TEACHERS):
            out[name] = tensor
    return out


def is_rife(tensors: Tensors) -> bool:
    return any(name.startswith("block0.conv0.") for name in plain_names(tensors))


def is_rife31(tensors: Tensors) -> bool:
    """Whether this is the flow network of 3.1, which needs two more files."""
    return is_rife(tensors) and "block0.conv1.weight" in plain_names(tensors)


def rife(tensors: Tensors, label: str) -> Rife31 | Rife35 | Rife4:
    """The network of a RIFE file, float32. For 3.1 the tensors of all three files, `contextnet.` and `fusionnet.`
    before the names of two. Raises DiffilmError where it is another network, or not whole."""
    given = plain_names(tensors)
    try:
        if is_rife31(given):
            network: Rife31 | Rife35 | Rife4 = _rife31(given)
            given = {k if k.startswith(("contextnet.", "fusionnet.")) else f"flownet.{k}": v for k, v in given.items()}
        else:
            given = {name: tensor for name, tensor in given.items() if not name.startswith(UNUSED)}
            network = _rife35(given) if "block0.conv2.weight" in given or "block0.conv2.0.weight" in given else None  # type: ignore[assignment]
            network = network or Rife4(config_of(given))
    except (KeyError, IndexError, ValueError) as error:
        raise DiffilmError(
            f"{label} looks like RIFE but its layers are of no known version (3.1, 3.5, 3.8, 4.0 to 4.26; at {error}): "
            "give a file of one of these"
        ) from error
    return _filled(network, given, label)


def _rife31(given: Tensors) -> Rife31:
    if not any(name.startswith("fusionnet.") for name in given):
        raise KeyError("fusionnet, the file unet.pkl")
    width = given["block0.conv0.0.0.weight"].shape[0]
    context = given["contextnet.conv0.conv1.0.weight"].shape[0]
    with torch.device("meta"):
        return Rife31(width, context)


def _rife35(given: Tensors) -> Rife35:
    with torch.device("meta"):
        return Rife35(given["block0.conv0.1.0.weight"].shape[0], deep="block0.conv2.0.weight" in given)


def config_of(given: Tensors) -> Rife4Config:
    """The version of a 4.x file. Raises KeyError at what it lacks, ValueError at what no version has."""
    blocks = [i for i in range(5) if f"block{i}.conv0.1.0.weight" in given]
    if blocks not in ([0, 1, 2, 3], [0, 1, 2, 3, 4]):
        raise ValueError(f"blocks {blocks}")
    widths = tuple(given[f"block{i}.conv0.1.0.weight"].shape[0] for i in blocks)
    config = Rife4Config(widths, prelu="block0.conv0.0.1.weight" in given)
    if "block0.convblock.0.conv.weight" in given:
        config = replace(config, groups=widths[0] // given["block0.convblock.0.conv.weight"].shape[1])
    else:
        config = replace(config, residual=False)
    if "block0.lastconv.weight" in given:
        config = replace(config, shuffled=False, outputs=given["block0.lastconv.weight"].shape[1])
    else:
        config = replace(config, outputs=given["block0.lastconv.0.weight"].shape[1] // 4)
    for head, first, last in (("layers", "cnn0", "cnn3"), ("sequence", "0", "6"), ("pair", "0", "1")):
        if f"encode.{first}.weight" in given and f"encode.{last}.weight" in given:
            width, features = given[f"encode.{last}.weight"].shape[:2]
            config = replace(config, head=head, head_width=width, features=features)
            break
    inner = given["block1.conv0.0.0.weight"].shape[1]
    config = replace(config, hands_on=inner != 12 + 2 * config.features)
    if len(widths) == 5:
        config = replace(config, scales=(32, 16, 8, 4, 1) if widths[4] == 24 else (16, 8, 4, 2, 1))
    return config


def _filled(network: nn.Module, given: Tensors, label: str) -> Rife31 | Rife35 | Rife4:
    wanted = network.state_dict()
    missing, unexpected = sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys())
    wrong = [name for name in wanted.keys() & given.keys() if wanted[name].shape != given[name].shape]
    if missing or unexpected or wrong:
        first = (missing or unexpected or wrong)[0]
        raise DiffilmError(
            f"{label} is no whole RIFE model: {len(missing)} tensors missing, {len(unexpected)} unknown, {len(wrong)} "
            f"of another shape (first: {first}); get it again, or give a file of RIFE 3.1, 3.5, 3.8 or 4.0 to 4.26"
        )
    network.load_state_dict({name: tensor.float() for name, tensor in given.items()}, assign=True)
    return network.eval().requires_grad_(False)  # type: ignore[return-value]
