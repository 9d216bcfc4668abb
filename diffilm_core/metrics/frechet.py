"""The Frechet distance of two sets of features, and the inception score, in float64."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import DiffilmError


def frechet_distance(made: Tensor, real: Tensor) -> float:
    """`|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))` of features `(n, d)` and `(m, d)` (Dowson and Landau 1982).

    S are the covariances (divided by n - 1). With centred features X / sqrt(n - 1) and Y / sqrt(m - 1) the trace of the
    root is the sum of the singular values of X Y^T, so no matrix root is taken, and sets smaller than d need no
    epsilon. Raises DiffilmError for fewer than two samples, other sizes of features, or a number that is not finite.
    """
    made, real = _checked(made, "generated"), _checked(real, "real")
    if made.shape[1] != real.shape[1]:
        raise DiffilmError(
            f"features of {made.shape[1]} and {real.shape[1]} numbers: expected two of one network; measure both again"
        )
    first, second = _root(made), _root(real)
    gap = (made.mean(0) - real.mean(0)).square().sum()
    cross = torch.linalg.svdvals(first @ second.T).sum()
    return max(0.0, float(gap + first.square().sum() + second.square().sum() - 2 * cross))


def _root(features: Tensor) -> Tensor:
    """R of at most d rows with `R^T R` the covariance."""
    centred = (features - features.mean(0)) / (len(features) - 1) ** 0.5
    return torch.linalg.qr(centred, mode="r").R if len(centred) > centred.shape[1] else centred


def inception_score(logits: Tensor, splits: int = 10) -> tuple[float, float]:
    """exp of the mean divergence of each sample's classes from all samples' (Salimans et al. 2016): mean and standard
    deviation over `splits` parts of the samples `(n, classes)`, in their order. Fewer samples make fewer parts."""
    logits = _checked(logits, "generated")
    found = []
    for part in logits.tensor_split(min(splits, len(logits) // 2)):
        logs = part.log_softmax(1)
        mean = logs.exp().mean(0, keepdim=True).log()
        found.append((logs.exp() * (logs - mean)).sum(1).mean().exp())
    scores = torch.stack(found)
    return float(scores.mean()), float(scores.std(correction=0))


def _checked(features: Tensor, whose: str) -> Tensor:
    features = features.double()
    if features.ndim != 2 or len(features) < 2:
        raise DiffilmError(f"{whose} features of shape {tuple(features.shape)}: expected at least 2 samples (n, d)")
    if not features.isfinite().all():
        raise DiffilmError(f"{whose} features hold numbers that are not finite: the clips or the weights are damaged")
    return features
