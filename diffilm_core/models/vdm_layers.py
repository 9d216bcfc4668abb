"""The layers of the Video Diffusion Models UNet, on clips `(b, c, t, h, w)`, with the published tensor names."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from .attention import AttentionFunction

if TYPE_CHECKING:
    from .vdm import VDMConfig

BUCKETS = 32
MAX_DISTANCE = 32
GROUPS = 8
SPATIAL_HEAD = 32


@dataclass(frozen=True)
class Make:
    """Where layers come from."""

    config: VDMConfig
    operations: Any
    attention: AttentionFunction
    factory: dict[str, Any]

    def conv(self, cin: int, cout: int, kernel: int, stride: int = 1, padding: int | None = None) -> nn.Module:
        pad = kernel // 2 if padding is None else padding
        return self.operations.Conv3d(
            cin, cout, (1, kernel, kernel), stride=(1, stride, stride), padding=(0, pad, pad), **self.factory
        )

    def linear(self, cin: int, cout: int, bias: bool = False) -> nn.Module:
        return self.operations.Linear(cin, cout, bias=bias, **self.factory)

    def norm(self, channels: int) -> nn.Module:
        if self.config.norm == "group":
            return self.operations.GroupNorm(GROUPS, channels, **self.factory)
        return RMSNorm(channels, self.factory)

    def time(self, channels: int) -> nn.Module:
        return Residual(PreNorm(channels, Wrapped(TimeAttention(self, channels)), self.factory))

    def space(self, channels: int) -> nn.Module:
        if not self.config.linear_attention:
            return Skip()
        return Residual(PreNorm(channels, LinearAttention(self, channels), self.factory))


class Residual(nn.Module):
    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor, *args: Any) -> Tensor:
        return self.fn(x, *args) + x


class Wrapped(nn.Module):
    """A level in the published names."""

    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor, *args: Any) -> Tensor:
        return self.fn(x, *args)


class Skip(nn.Identity):
    """Nothing, where the published network may have a layer."""


class PreNorm(nn.Module):
    """Layer norm over the channels, without a bias, then `fn`."""

    def __init__(self, channels: int, fn: nn.Module, factory: dict[str, Any]) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels, factory)
        self.fn = fn

    def forward(self, x: Tensor, *args: Any) -> Tensor:
        return self.fn(self.norm(x), *args)


class ChannelNorm(nn.Module):
    def __init__(self, channels: int, factory: dict[str, Any]) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(1, channels, 1, 1, 1, **factory))

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, dim=1, unbiased=False, keepdim=True)
        return (x - mean) * (variance + 1e-5).rsqrt() * self.gamma.to(x)


class RMSNorm(nn.Module):
    def __init__(self, channels: int, factory: dict[str, Any]) -> None:
        super().__init__()
        self.scale = channels**0.5
        self.gamma = nn.Parameter(torch.ones(channels, 1, 1, 1, **factory))

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=1) * (self.scale * self.gamma.to(x))


def drawn(shape: tuple[int, ...], scale: float, factory: dict[str, Any]) -> nn.Parameter:
    """Normal numbers, also in the 8-bit formats that torch does not draw in."""
    return nn.Parameter((torch.randn(shape, device=factory.get("device")) * scale).to(factory.get("dtype")))


class Upsample(nn.Module):
    """A transposed convolution to twice the height and width. Casts its weights itself: hosts have no such layer."""

    def __init__(self, channels: int, factory: dict[str, Any]) -> None:
        super().__init__()
        scale = (3 * 4 * 4 * channels) ** -0.5  # the spread of torch's own ConvTranspose3d
        self.weight = drawn((channels, channels, 1, 4, 4), scale, factory)
        self.bias = drawn((channels,), scale, factory)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose3d(x, self.weight.to(x), self.bias.to(x), (1, 2, 2), (0, 1, 1))


class Block(nn.Module):
    def __init__(self, make: Make, cin: int, cout: int) -> None:
        super().__init__()
        self.proj = make.conv(cin, cout, 3)
        self.norm = make.norm(cout)

    def forward(self, x: Tensor, scale_shift: Tensor | None = None) -> Tensor:
        x = self.norm(self.proj(x))
        if scale_shift is not None:
            scale, shift = rearrange(scale_shift, "b c -> b c 1 1 1").chunk(2, dim=1)
            x = torch.addcmul(shift, x, scale + 1)
        return F.silu(x)


class ResBlock(nn.Module):
    """Two convolutions; the embedding `(b, emb)` scales and shifts after the first."""

    def __init__(self, make: Make, cin: int, cout: int, emb: int | None) -> None:
        super().__init__()
        self.mlp = None if emb is None else nn.Sequential(nn.SiLU(), make.linear(emb, cout * 2, bias=True))
        self.block1 = Block(make, cin, cout)
        self.block2 = Block(make, cout, cout)
        self.res_conv = make.conv(cin, cout, 1) if cin != cout else nn.Identity()

    def forward(self, x: Tensor, emb: Tensor | None = None) -> Tensor:
        h = self.block1(x, None if self.mlp is None else self.mlp(emb))
        return self.block2(h) + self.res_conv(x)


class LinearAttention(nn.Module):
    """Attention over the pixels of each frame at linear cost (Shen et al. 2021)."""

    def __init__(self, make: Make, channels: int) -> None:
        super().__init__()
        self.heads = make.config.heads
        hidden = SPATIAL_HEAD * self.heads
        self.to_qkv = make.operations.Conv2d(channels, hidden * 3, 1, bias=False, **make.factory)
        self.to_out = make.operations.Conv2d(hidden, channels, 1, **make.factory)

    def forward(self, x: Tensor) -> Tensor:
        frames, height = x.shape[2], x.shape[3]
        qkv = self.to_qkv(rearrange(x, "b c t h w -> (b t) c h w"))
        q, k, v = rearrange(qkv, "r (three heads d) h w -> three r heads d (h w)", three=3, heads=self.heads)
        q = q.softmax(dim=-2) * SPATIAL_HEAD**-0.5
        summary = torch.einsum("r a d n, r a e n -> r a d e", k.softmax(dim=-1), v)
        out = torch.einsum("r a d e, r a d n -> r a e n", summary, q)
        out = self.to_out(rearrange(out, "r heads e (h w) -> r (heads e) h w", h=height))
        return rearrange(out, "(b t) c h w -> b c t h w", t=frames)


class FrameAttention(nn.Module):
    """Full attention over the pixels of each frame, in the middle."""

    def __init__(self, make: Make, channels: int) -> None:
        super().__init__()
        self.heads, self.attention = make.config.heads, make.attention
        self.to_qkv = make.linear(channels, self.heads * SPATIAL_HEAD * 3)
        self.to_out = make.linear(self.heads * SPATIAL_HEAD, channels)

    def forward(self, x: Tensor) -> Tensor:
        batch, height = x.shape[0], x.shape[3]
        q, k, v = self.to_qkv(rearrange(x, "b c t h w -> (b t) (h w) c")).chunk(3, dim=-1)
        out = self.to_out(self.attention(q, k, v, self.heads))
        return rearrange(out, "(b t) (h w) c -> b c t h w", b=batch, h=height)


class Rotary(nn.Module):
    """Rotary positions (Su et al. 2021) of neighbouring pairs; the file holds their frequencies with every layer.

    They were not learned, so a copy in fewer bits is not used: the angles of late frames need all of them.
    """

    def __init__(self, dim: int, factory: dict[str, Any]) -> None:
        super().__init__()
        self.dim = dim
        self.freqs = nn.Parameter(self.exact(factory.get("device")).to(factory.get("dtype") or torch.float32), False)

    def exact(self, device: torch.device | str | None) -> Tensor:
        return 10000.0 ** (-torch.arange(0, self.dim, 2, dtype=torch.float32, device=device) / self.dim)

    def forward(self, x: Tensor) -> Tensor:
        """x `(..., t, d)`, the first 2 * freqs of d turned by their frame's angle."""
        freqs = self.freqs.to(x.device) if self.freqs.dtype == torch.float32 else self.exact(x.device)
        angles = torch.arange(x.shape[-2], device=x.device)[:, None] * freqs
        turn = torch.polar(torch.ones_like(angles), angles)
        turned, rest = x[..., : 2 * len(self.freqs)], x[..., 2 * len(self.freqs) :]
        pairs = torch.view_as_complex(rearrange(turned.float(), "... (d r) -> ... d r", r=2).contiguous())
        out = rearrange(torch.view_as_real(pairs * turn), "... d r -> ... (d r)").to(x.dtype)
        return torch.cat([out, rest], dim=-1) if rest.shape[-1] else out


class TimeAttention(nn.Module):
    """Attention over the frames of each pixel, with rotary positions and a bias `(b or 1, 1, heads, t, t)`."""

    def __init__(self, make: Make, channels: int) -> None:
        super().__init__()
        cfg = make.config
        self.heads = cfg.heads
        self.rotary_emb = Rotary(min(32, cfg.head_dim), make.factory)
        self.to_qkv = make.linear(channels, cfg.heads * cfg.head_dim * 3)
        self.to_out = make.linear(cfg.heads * cfg.head_dim, channels)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        height = x.shape[3]
        qkv = self.to_qkv(rearrange(x, "b c t h w -> b (h w) t c"))
        q, k, v = rearrange(qkv, "b n t (three a d) -> three b n a t d", three=3, a=self.heads)
        out = F.scaled_dot_product_attention(self.rotary_emb(q), self.rotary_emb(k), v, attn_mask=bias)
        out = self.to_out(rearrange(out, "b n a t d -> b n t (a d)"))
        return rearrange(out, "b (h w) t c -> b c t h w", h=height)


class Table(nn.Module):
    """An embedding's weight, in its published place."""

    def __init__(self, rows: int, columns: int, factory: dict[str, Any]) -> None:
        super().__init__()
        self.weight = drawn((rows, columns), 1.0, factory)


class RelativePositions(nn.Module):
    """A learned bias for the distance of two frames (the buckets of Raffel et al. 2020, both directions)."""

    def __init__(self, make: Make) -> None:
        super().__init__()
        self.relative_attention_bias = Table(BUCKETS, make.config.heads, make.factory)

    @staticmethod
    def buckets(frames: int, device: torch.device) -> Tensor:
        """`(t, t)` int64: the first half of the buckets looks back, the second ahead; far ones share a bucket."""
        half, exact = BUCKETS // 2, BUCKETS // 4
        at = torch.arange(frames, device=device)
        ahead = at[None, :] - at[:, None]
        far = ahead.abs()
        ratio = torch.log(far.float().clamp(min=1) / exact) / math.log(MAX_DISTANCE / exact)
        coarse = (exact + (ratio * (half - exact)).long()).clamp(max=half - 1)
        return torch.where(far < exact, far, coarse) + (ahead > 0).long() * half

    def forward(self, frames: int, like: Tensor) -> Tensor:
        weight = self.relative_attention_bias.weight.to(like)
        return rearrange(weight[self.buckets(frames, like.device)], "i j a -> 1 1 a i j")
