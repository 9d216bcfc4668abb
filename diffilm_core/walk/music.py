"""Where a walk is at each moment of a piece of music: it moves with the drums.

The percussive part of the sound (median filters over the spectrogram, Fitzgerald 2010, with soft masks, Driedger 2014)
as a mel spectrogram; the running sum of its loudest band, from 0 to 1, is the position. The settings are librosa's
defaults, which stable-diffusion-videos uses; the few lines are here so that a walk needs neither librosa nor numba.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from ..errors import DiffilmError

RATE = 22050
FFT, HOP = 2048, 512
BANDS = 128
MEDIAN = 31
ROWS = 128  # filtered at a time, to bound the memory


def positions(sound: Tensor, frames: int, *, smooth: float = 0.0, margin: float = 1.0) -> Tensor:
    """`(frames,)` float64, rising to 1: the position at each frame of a leg that lasts as long as the sound.

    sound `(n,)` at 22,050 samples a second. smooth: 0 follows the drums, 1 walks evenly. margin: from 1 up, how clearly
    a sound must be percussive. Silence, or sound of one loudness, is walked evenly. Raises DiffilmError for settings
    out of range.
    """
    if sound.ndim != 1 or sound.numel() < 1 or frames < 1:
        raise DiffilmError(f"sound of shape {tuple(sound.shape)} for {frames} frames; expected (samples,) and a frame")
    if not 0 <= smooth <= 1 or margin < 1:
        raise DiffilmError(f"smooth {smooth:g} and margin {margin:g}; expected smooth 0 to 1 and a margin from 1 up")
    even = torch.linspace(0, 1, frames, dtype=torch.float64)
    loud = mel_spectrogram(percussive(sound.float(), margin)).amax(dim=0).double()
    loud = loud - loud.min()
    if loud.numel() < 2 or not float(loud.max()) > 0:
        return even
    rising = (loud / loud.max()).cumsum(0)
    rising = rising / rising[-1]
    return _interpolate(rising, frames) * (1 - smooth) + even * smooth


def _interpolate(values: Tensor, count: int) -> Tensor:
    """`values` at `count` even places from the first to the last."""
    at = torch.linspace(0, 1, count, dtype=torch.float64) * (values.numel() - 1)
    low = at.floor().long().clamp(max=values.numel() - 2)
    return torch.lerp(values[low], values[low + 1], at - low)


def percussive(sound: Tensor, margin: float = 1.0) -> Tensor:
    """The percussive part of `(n,)`, `(n,)`: what is narrow in time and wide in frequency."""
    spectrum = _stft(sound)
    size = spectrum.abs()
    kept = _soft_mask(_median(size, 0), _median(size, 1) * margin, split=margin == 1)
    return torch.istft(spectrum * kept, FFT, HOP, window=torch.hann_window(FFT), length=sound.numel())


def _stft(sound: Tensor) -> Tensor:
    """`(n,)` to complex `(FFT / 2 + 1, frames)`."""
    return torch.stft(
        sound, FFT, HOP, window=torch.hann_window(FFT), center=True, pad_mode="constant", return_complex=True
    )


def _median(size: Tensor, dim: int) -> Tensor:
    """The median of 31 neighbours along one dimension of a matrix; mirrored at its ends, the last value twice."""
    length = size.shape[dim]
    at = torch.arange(-(MEDIAN // 2), length + MEDIAN // 2) % (2 * length)
    padded = size.index_select(dim, torch.where(at < length, at, 2 * length - 1 - at))
    parts = padded.split(ROWS, dim=1 - dim)
    return torch.cat([part.unfold(dim, MEDIAN, 1).median(dim=-1).values for part in parts], dim=1 - dim)


def _soft_mask(wanted: Tensor, other: Tensor, *, split: bool) -> Tensor:
    """The share of `wanted` in both, in squares; where there is nothing, half (split) or none."""
    largest = torch.maximum(wanted, other)
    empty = largest < torch.finfo(largest.dtype).tiny
    scale = torch.where(empty, torch.ones_like(largest), largest)
    mask, rest = (wanted / scale) ** 2, (other / scale) ** 2
    return torch.where(empty, torch.full_like(mask, 0.5 * split), mask / (mask + rest).clamp(min=1e-30))


def mel_spectrogram(sound: Tensor) -> Tensor:
    """Power in 128 mel bands, `(128, frames)`."""
    return _mel_bank() @ _stft(sound).abs() ** 2


@lru_cache(maxsize=1)
def _mel_bank() -> Tensor:
    """`(128, FFT / 2 + 1)` triangles of equal area on Slaney's mel scale, linear below 1 kHz and logarithmic above."""
    top = 15 + math.log(RATE / 2 / 1000) / (math.log(6.4) / 27)
    mels = torch.linspace(0, top, BANDS + 2, dtype=torch.float64)
    edges = torch.where(mels < 15, mels * 200 / 3, 1000 * torch.exp((mels - 15) * math.log(6.4) / 27))
    bins = torch.linspace(0, RATE / 2, FFT // 2 + 1, dtype=torch.float64)
    widths = edges.diff()
    rising = (bins - edges[:-2, None]) / widths[:-1, None]
    falling = (edges[2:, None] - bins) / widths[1:, None]
    bank = torch.minimum(rising, falling).clamp(min=0) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return bank.float()
