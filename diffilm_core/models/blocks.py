"""The layers of the Stable Diffusion UNet, with the tensor names of LDM.

Every layer works on `(b t) c h w`: one picture a row, the frames of a clip next to each other. Where a temporal layer
may stand (after a convolution, after a ResBlock, after a spatial transformer) the block asks a `TemporalDialect`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from .build import Build

CPU_ROWS, GPU_ROWS = 1024, 16384  # of a feed-forward at a time


@dataclass
class Clip:
    """What a forward pass carries beside the pictures.

    emb `(b t, d)` or `(b, d)` time embedding; context `(b, l, d)` or one a frame `(b t, l, d)`; `frames` the t that is
    folded into the rows; `time` whether the temporal layers are on; `conditions` the other keywords of the call.
    """

    emb: Tensor
    context: Tensor
    frames: int
    time: bool
    conditions: dict[str, Any] = field(default_factory=dict)


class ClipLayer(nn.Module):
    """A layer of a block that is called `(x, clip)`, x `(b t) c h w`; any other is called `(x)`."""


def sinusoidal(values: Tensor, dim: int, max_period: float = 10000.0) -> Tensor:
    """Sinusoidal embedding `(b,) -> (b, dim)`, cosines first, in float32 (LDM's `timestep_embedding`)."""
    half = dim // 2
    steps = torch.arange(half, dtype=torch.float32, device=values.device)
    freqs = torch.exp(-math.log(max_period) * steps / half)
    args = values.float()[:, None] * freqs[None]
    out = torch.cat([args.cos(), args.sin()], dim=-1)
    return F.pad(out, (0, dim % 2))


def per_row(values: Tensor, rows: int) -> Tensor:
    """Repeat `(b, ...)` along the frames to `(b t, ...)` when it is given once a clip."""
    return values if values.shape[0] == rows else values.repeat_interleave(rows // values.shape[0], dim=0)


class ResBlock(ClipLayer):
    """LDM's residual block; each 3x3 convolution may be followed by a temporal one, the block by another."""

    def __init__(self, build: Build, cin: int, emb: int, cout: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(build.norm(cin), nn.SiLU(), build.conv(cin, cout))
        self.emb_layers = nn.Sequential(nn.SiLU(), build.linear(emb, cout))
        self.out_layers = nn.Sequential(build.norm(cout), nn.SiLU(), nn.Identity(), build.conv(cout, cout))
        self.skip_connection = build.conv(cin, cout, 1) if cin != cout else nn.Identity()
        self.temporal_in = build.dialect.after_conv(build, cout)
        self.temporal_out = build.dialect.after_conv(build, cout)

    def forward(self, x: Tensor, clip: Clip) -> Tensor:
        h = self.in_layers(x)
        if clip.time and self.temporal_in is not None:
            h = self.temporal_in(h, clip.frames)
        h = h + per_row(self.emb_layers(clip.emb), h.shape[0])[:, :, None, None]
        h = self.out_layers(h)
        if clip.time and self.temporal_out is not None:
            h = self.temporal_out(h, clip.frames)
        return self.skip_connection(x) + h


class CrossAttention(nn.Module):
    """Attention of x `(r, n, c)` over context `(s, m, d)`; with s < r each context serves r / s neighbouring rows."""

    def __init__(self, build: Build, dim: int, context_dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention = build.attention
        self.to_q = build.linear(dim, dim, bias=False)
        self.to_k = build.linear(context_dim, dim, bias=False)
        self.to_v = build.linear(context_dim, dim, bias=False)
        self.to_out = nn.Sequential(build.linear(dim, dim), nn.Identity())

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        rows = x.shape[0]
        context = x if context is None else context
        if context.shape[1] == 1:  # nothing to weigh: the one value, for every query
            return per_row(self.to_out(self.to_v(context)), rows).expand(rows, x.shape[1], -1)
        q = rearrange(self.to_q(x), "(s t) n c -> s (t n) c", s=context.shape[0])
        out = self.attention(q, self.to_k(context), self.to_v(context), self.heads)
        return self.to_out(rearrange(out, "s (t n) c -> (s t) n c", t=rows // context.shape[0]))


class GEGLU(nn.Module):
    """Gated GELU (Shazeer 2020)."""

    def __init__(self, build: Build, dim: int, inner: int) -> None:
        super().__init__()
        self.proj = build.linear(dim, inner * 2)

    def forward(self, x: Tensor) -> Tensor:
        x, gate = self.proj(x).chunk(2, dim=-1)
        return x * F.gelu(gate)


class FeedForward(nn.Module):
    """Linear, GEGLU, Linear on the last axis, a chunk of rows at a time.

    Its inner width, eight times the input's, would else set a pass's peak of memory; on a CPU a chunk stays in the
    cache, which takes a quarter of the time away at 320 channels.
    """

    def __init__(self, build: Build, dim: int, mult: int = 4) -> None:
        super().__init__()
        self.net = nn.Sequential(GEGLU(build, dim, dim * mult), nn.Identity(), build.linear(dim * mult, dim))

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        chunk = CPU_ROWS if x.device.type == "cpu" else GPU_ROWS
        if len(rows) <= chunk:
            return self.net(x)
        return torch.cat([self.net(part) for part in rows.split(chunk)]).view(x.shape)


class TransformerBlock(nn.Module):
    """Self-attention, cross-attention to the text, feed-forward; each normalised before and added back."""

    def __init__(self, build: Build, dim: int, context_dim: int, heads: int) -> None:
        super().__init__()
        self.attn1 = CrossAttention(build, dim, dim, heads)
        self.ff = FeedForward(build, dim)
        self.attn2 = CrossAttention(build, dim, context_dim, heads)
        self.norm1, self.norm2, self.norm3 = (build.layer_norm(dim) for _ in range(3))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        x = x + self.attn1(self.norm1(x))
        alone = context is not None and context.shape[1] == 1  # what asks does not matter: see `CrossAttention`
        x = x + self.attn2(x if alone else self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(ClipLayer):
    """Transformer over the pixels of each frame; projections are 1x1 Conv2d (SD 1.x) or Linear (SD 2.x).

    A temporal attention of the dialect may follow it, at `.temporal`.
    """

    def __init__(self, build: Build, channels: int, context_dim: int, heads: int, depth: int, use_linear: bool) -> None:
        super().__init__()
        self.use_linear = use_linear
        self.norm = build.norm(channels, eps=1e-6)
        project = build.linear if use_linear else (lambda cin, cout: build.conv(cin, cout, 1))
        self.proj_in = project(channels, channels)
        self.transformer_blocks = nn.ModuleList(
            TransformerBlock(build, channels, context_dim, heads) for _ in range(depth)
        )
        self.proj_out = project(channels, channels)
        self.temporal = build.dialect.after_attention(build, channels, heads)

    def forward(self, x: Tensor, clip: Clip) -> Tensor:
        height = x.shape[2]
        h = self.norm(x)
        h = h if self.use_linear else self.proj_in(h)
        h = rearrange(h, "r c h w -> r (h w) c")
        h = self.proj_in(h) if self.use_linear else h
        h = self.transform(h, clip)
        h = self.proj_out(h) if self.use_linear else h
        h = rearrange(h, "r (h w) c -> r c h w", h=height)
        x = x + (h if self.use_linear else self.proj_out(h))
        if clip.time and self.temporal is not None:
            x = self.temporal(x, clip.frames)
        return x

    def transform(self, x: Tensor, clip: Clip) -> Tensor:
        """The blocks between the projections; x `(b t, h w, c)`."""
        for block in self.transformer_blocks:
            x = block(x, clip.context)
        return x


class Downsample(ClipLayer):
    def __init__(self, build: Build, channels: int) -> None:
        super().__init__()
        self.op = build.conv(channels, channels, stride=2)
        self.temporal = build.dialect.after_conv(build, channels)

    def forward(self, x: Tensor, clip: Clip) -> Tensor:
        x = self.op(x)
        return self.temporal(x, clip.frames) if clip.time and self.temporal is not None else x


class Upsample(nn.Module):
    """Nearest-neighbour doubling and a convolution; `size` is that of the skip it will meet (odd sizes round up)."""

    def __init__(self, build: Build, channels: int) -> None:
        super().__init__()
        self.conv = build.conv(channels, channels)
        self.temporal = build.dialect.after_conv(build, channels)

    def forward(self, x: Tensor, clip: Clip, size: tuple[int, int]) -> Tensor:
        x = self.conv(F.interpolate(x, size=size, mode="nearest"))
        return self.temporal(x, clip.frames) if clip.time and self.temporal is not None else x
