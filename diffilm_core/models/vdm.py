"""The UNet of Video Diffusion Models (Ho et al. 2022), in pixels, with the tensor names of video-diffusion-pytorch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from einops import rearrange
from torch import Tensor, nn

from ..errors import DiffilmError
from .attention import AttentionFunction, sdpa_attention
from .vdm_layers import (
    FrameAttention,
    Make,
    PreNorm,
    RelativePositions,
    ResBlock,
    Residual,
    Skip,
    Upsample,
    Wrapped,
    drawn,
)


@dataclass(frozen=True)
class VDMConfig:
    """The shape of the network; the defaults are the published ones with BERT (41.8 M parameters).

    norm: "rms" (video-diffusion-pytorch 0.7) or "group" (up to 0.6.3). cond_dim: width of the caption's vector, None
    for a network without text. caption_drop: the share of captions that training replaces by the learned null
    embedding, which is what makes guidance possible (Ho & Salimans 2022, algorithm 1).
    """

    dim: int = 64
    dim_mults: tuple[int, ...] = (1, 2, 4, 8)
    channels: int = 3
    out_channels: int = 3
    heads: int = 8
    head_dim: int = 32
    cond_dim: int | None = 768
    kernel: int = 7
    norm: str = "rms"
    linear_attention: bool = True
    caption_drop: float = 0.1

    @property
    def size_multiple(self) -> int:
        """What height and width must divide by."""
        return 2 ** (len(self.dim_mults) - 1)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class VDMUNet(nn.Module):
    """Denoiser of clips in pixels: `unet(x, timesteps, context)`; see `forward`.

    operations, attention: as in `UNet`; the attention over time is torch's own, which takes the bias.
    """

    def __init__(
        self,
        config: VDMConfig,
        *,
        operations: Any = nn,
        attention: AttentionFunction = sdpa_attention,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        if config.norm not in ("rms", "group"):
            raise DiffilmError(f"VDM norm {config.norm!r}: expected 'rms' (0.7) or 'group' (up to 0.6.3)")
        self.config, self.dtype = config, dtype
        make = Make(config, operations, attention, {"dtype": dtype, "device": device})
        dim, emb = config.dim, config.dim * 4
        self.time_rel_pos_bias = RelativePositions(make)
        self.init_conv = make.conv(config.channels, dim, config.kernel)
        self.init_temporal_attn = make.time(dim)
        self.time_mlp = nn.Sequential(
            Skip(), make.linear(dim, emb, bias=True), nn.GELU(), make.linear(emb, emb, bias=True)
        )
        if config.cond_dim is not None:
            self.null_cond_emb = drawn((1, config.cond_dim), 1.0, make.factory)
            emb += config.cond_dim
        widths = [dim, *(dim * mult for mult in config.dim_mults)]
        last = len(config.dim_mults) - 1
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        for level in range(last + 1):
            cin, cout = widths[level], widths[level + 1]
            down = make.conv(cout, cout, 4, 2, 1) if level < last else Skip()
            self.downs.append(nn.ModuleList([*self._level(make, cin, cout, emb), down]))
        middle = widths[-1]
        self.mid_block1 = ResBlock(make, middle, middle, emb)
        self.mid_spatial_attn = Residual(PreNorm(middle, Wrapped(FrameAttention(make, middle)), make.factory))
        self.mid_temporal_attn = make.time(middle)
        self.mid_block2 = ResBlock(make, middle, middle, emb)
        for level in reversed(range(last + 1)):
            cout = widths[level]
            up = Upsample(cout, make.factory) if level else Skip()
            self.ups.append(nn.ModuleList([*self._level(make, widths[level + 1] * 2, cout, emb), up]))
        self.final_conv = nn.Sequential(ResBlock(make, dim * 2, dim, None), make.conv(dim, config.out_channels, 1))

    @staticmethod
    def _level(make: Make, cin: int, cout: int, emb: int) -> list[nn.Module]:
        blocks = [ResBlock(make, cin, cout, emb), ResBlock(make, cout, cout, emb)]
        return [*blocks, make.space(cout), make.time(cout)]

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor | None = None,
        *,
        drop: Tensor | None = None,
        focus_present: Tensor | None = None,
        **_: Any,
    ) -> Tensor:
        """Predict the noise of clips of pixels in [-1, 1].

        x `(b, c, t, h, w)`, h and w multiples of `config.size_multiple`; timesteps `(b,)`; context `(b, 1, d)` or
        `(b, d)`, one vector a caption, None for the null caption. drop `(b,)` bool: where the caption is replaced by
        the null one; in training, without it, drawn at the rate `config.caption_drop`. focus_present `(b,)` bool:
        where each frame sees itself alone (training on pictures, section 3 of the paper); the first attention sees
        all, as in the published code. Returns x's shape. Raises DiffilmError for a shape that does not fit.
        """
        context = self._check(x, timesteps, context)
        plain = self.time_rel_pos_bias(x.shape[2], x)
        bias = plain if focus_present is None else _focused(plain, focus_present)
        x = self.init_temporal_attn(self.init_conv(x), plain)
        first = x
        emb = self.time_mlp(_sinusoidal(timesteps, self.config.dim).to(x.dtype))
        if self.config.cond_dim is not None:
            emb = torch.cat([emb, self._caption(context, drop, emb)], dim=-1)
        skips: list[Tensor] = []
        for block1, block2, space, time, down in _levels(self.downs):
            x = time(space(block2(block1(x, emb), emb)), bias)
            skips.append(x)
            x = down(x)
        x = self.mid_temporal_attn(self.mid_spatial_attn(self.mid_block1(x, emb)), bias)
        x = self.mid_block2(x, emb)
        for block1, block2, space, time, up in _levels(self.ups):
            x = block1(torch.cat([x, skips.pop()], dim=1), emb)
            x = up(time(space(block2(x, emb)), bias))
        return self.final_conv(torch.cat([x, first], dim=1))

    def _caption(self, context: Tensor | None, drop: Tensor | None, emb: Tensor) -> Tensor:
        null = self.null_cond_emb.to(emb).expand(emb.shape[0], -1)
        if context is None:
            return null
        if drop is None and self.training:
            drop = torch.rand(emb.shape[0], device=emb.device) < self.config.caption_drop
        context = context.to(emb)
        return context if drop is None else torch.where(drop.bool()[:, None], null, context)

    def _check(self, x: Tensor, timesteps: Tensor, context: Tensor | None) -> Tensor | None:
        cfg, batch = self.config, x.shape[0]
        if x.ndim != 5 or x.shape[1] != cfg.channels:
            raise DiffilmError(
                f"VDM UNet got x of shape {tuple(x.shape)}, expected (batch, {cfg.channels}, frames, height, width)"
            )
        if x.shape[3] % cfg.size_multiple or x.shape[4] % cfg.size_multiple:
            raise DiffilmError(
                f"VDM UNet got frames of {x.shape[4]}x{x.shape[3]}, expected sides in steps of {cfg.size_multiple}"
            )
        if timesteps.shape != (batch,):
            raise DiffilmError(f"VDM UNet got timesteps of shape {tuple(timesteps.shape)}, expected ({batch},)")
        if context is None or cfg.cond_dim is None:
            return None
        if context.ndim == 3 and context.shape[1] == 1:
            context = context[:, 0]
        if context.shape != (batch, cfg.cond_dim):
            raise DiffilmError(
                f"VDM UNet got a caption of shape {tuple(context.shape)}, expected ({batch}, 1, {cfg.cond_dim}), "
                "one vector a caption, from the BERT that it was trained with"
            )
        return context


def _levels(levels: nn.ModuleList) -> list[list[nn.Module]]:
    return [list(cast(nn.ModuleList, level)) for level in levels]


def _focused(bias: Tensor, focus_present: Tensor) -> Tensor:
    """The bias with all but a frame's own place shut for the clips where `focus_present` `(b,)` is true."""
    others = ~torch.eye(bias.shape[-1], dtype=torch.bool, device=bias.device)
    return bias.masked_fill(rearrange(focus_present.bool(), "b -> b 1 1 1 1") & others, -torch.inf)


def _sinusoidal(timesteps: Tensor, dim: int) -> Tensor:
    """`(b,) -> (b, dim)`, sines first, the last frequency 1/10000 itself (not LDM's spacing)."""
    half = dim // 2
    freqs = torch.exp(torch.arange(half, device=timesteps.device) * (-math.log(10000) / (half - 1)))
    angles = timesteps.float()[:, None] * freqs
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
