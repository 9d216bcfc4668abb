"""Aesthetic and text-image scores by a CLIP of transformers in a local folder.

Where there is no aesthetic head, the aesthetic score is the zero-shot one of CLIP-IQA (Wang et al. 2023, eq. 2): how
near a frame is to "Good photo." rather than to "Bad photo.". A head is a file of LAION's aesthetic predictor, linear or
of several layers, for the CLIP that it was made with; its score is from about 1 to 10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...errors import DiffilmError
from ...metrics.clip import Clip

PROMPTS = ("Good photo.", "Bad photo.")


class Likeness:
    """`Likeness(folder).embed(frames)` are unit vectors; `aesthetic` and `match` score them."""

    def __init__(self, folder: str | Path, head: str | Path = "") -> None:
        self.clip = Clip(folder)
        self.head = read_head(head, int(self.clip.model.config.projection_dim)) if head else None
        self.poles = self.words(PROMPTS)

    def embed(self, frames: Sequence[NDArray[np.uint8]]) -> Tensor:
        """RGB frames `(h, w, 3)` to `(n, d)`: the middle square, reduced bicubically, as CLIP was trained."""
        return torch.cat([self.clip.frames(torch.from_numpy(np.array(each))[None].float() / 255) for each in frames])

    def words(self, texts: Sequence[str]) -> Tensor:
        """Texts to unit vectors `(n, d)`; what is beyond CLIP's window is cut off."""
        return self.clip.texts(list(texts))

    @torch.no_grad()
    def aesthetic(self, embedded: Tensor) -> float:
        """The mean over frames `(n, d)`."""
        if self.head is not None:
            return float(self.head(embedded).mean())
        scale = float(self.clip.model.logit_scale.exp())
        return float((scale * embedded @ self.poles.T).softmax(-1)[:, 0].mean())

    def match(self, embedded: Tensor, caption: str) -> float:
        """The mean cosine of frames `(n, d)` and the caption."""
        return float((embedded @ self.words([caption])[0]).mean())


def read_head(path: str | Path, width: int) -> nn.Module:
    """LAION's aesthetic head: `sa_0_4_*_linear.pth`, or the several layers of improved-aesthetic-predictor.

    Raises DiffilmError for a file that is missing, none of these, or made for vectors of another width.
    """
    wrong = f"aesthetic head {path}: expected a .pth of LAION's aesthetic predictor for a CLIP of width {width}"
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        raise DiffilmError(f"{wrong}; it cannot be read ({_first_line(error)})") from error
    except Exception as error:  # pickle.UnpicklingError and whatever a foreign pickle makes torch raise
        raise DiffilmError(f"{wrong}; it is no file of weights ({_first_line(error)})") from error
    if not isinstance(found, Mapping):
        raise DiffilmError(f"{wrong}; it holds {type(found).__name__}")
    names = [name[: -len("weight")] for name in found if name.endswith("weight")]
    layers: list[nn.Module] = []
    for name in names:
        weight, bias = found[f"{name}weight"], found.get(f"{name}bias")
        if weight.ndim != 2 or weight.shape[1] != width or bias is None:
            raise DiffilmError(f"{wrong}; {name}weight has shape {tuple(weight.shape)}")
        layer = nn.Linear(width, width := weight.shape[0])
        layer.load_state_dict({"weight": weight, "bias": bias})
        layers.append(layer)
    if not layers or width != 1:
        raise DiffilmError(f"{wrong}; it ends in {width} values, expected 1")
    return nn.Sequential(*layers).float().eval()


@lru_cache(maxsize=1)
def load(folder: str, head: str) -> Likeness:
    return Likeness(folder, head)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
