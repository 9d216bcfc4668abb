"""Scaled dot-product attention behind one signature, so that a host can put its own in its place."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

AttentionFunction = Callable[[Tensor, Tensor, Tensor, int], Tensor]
"""`(q, k, v, heads) -> out`, each `(b, n, heads * d)`."""


def sdpa_attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Multi-head attention through torch's fused kernel (Vaswani et al. 2017, eq. 1).

    q `(b, n, heads * d)`, k and v `(b, m, heads * d)`; returns `(b, n, heads * d)`.
    """
    q, k, v = (rearrange(each, "b n (heads d) -> b heads n d", heads=heads) for each in (q, k, v))
    out = F.scaled_dot_product_attention(q, k, v)
    return rearrange(out, "b heads n d -> b n (heads d)")
