"""AnimateDiff's dialect (Guo et al. 2024): motion modules that any Stable Diffusion 1.x UNet takes.

A motion module is the submodule `motion` of the layer that it follows, so the image model's tensors keep their names.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from einops import rearrange
from torch import Tensor, nn

from ...errors import DiffilmError
from ..blocks import Clip, FeedForward, ResBlock, SpatialTransformer, per_row
from ..build import Build
from ..dialect import TemporalDialect

if TYPE_CHECKING:
    from ..unet import UNet

CHUNK = 1 << 24  # numbers in the widest activation of a motion module; more pixels than that take turns


class MotionAttention(nn.Module):
    """Self-attention over the frames of x `(r, t, c)`; the frame's number is added before q, k and v are made."""

    def __init__(self, build: Build, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention = build.attention
        self.to_q, self.to_k, self.to_v = (build.linear(channels, channels, bias=False) for _ in range(3))
        self.to_out = nn.Sequential(build.linear(channels, channels))

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        x = x + positions
        return self.to_out(self.attention(self.to_q(x), self.to_k(x), self.to_v(x), self.heads))


class MotionBlock(nn.Module):
    """Attentions over the frames and a feed-forward, each normalised before and added back."""

    def __init__(self, build: Build, channels: int, heads: int, attentions: int) -> None:
        super().__init__()
        self.attention_blocks = nn.ModuleList(MotionAttention(build, channels, heads) for _ in range(attentions))
        self.norms = nn.ModuleList(build.layer_norm(channels) for _ in range(attentions))
        self.ff = FeedForward(build, channels)
        self.ff_norm = build.layer_norm(channels)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        for attention, norm in zip(self.attention_blocks, self.norms, strict=True):
            x = x + attention(norm(x), positions)
        return x + self.ff(self.ff_norm(x))


class MotionModule(nn.Module):
    """Transformer over the frames at each pixel, added back times the clip's `motion_scale`.

    Pixels do not see each other, so outside of training they are done in chunks, in place, which bounds the memory.
    """

    def __init__(self, build: Build, channels: int, options: AnimateDiff) -> None:
        super().__init__()
        self.positions = options.positions
        self.norm = build.norm(channels, eps=1e-6)
        self.proj_in = build.linear(channels, channels)
        self.transformer_blocks = nn.ModuleList(
            MotionBlock(build, channels, options.heads, options.attentions) for _ in range(options.depth)
        )
        self.proj_out = build.linear(channels, channels)

    def forward(self, x: Tensor, clip: Clip) -> Tensor:
        frames, channels = clip.frames, x.shape[1]
        if frames > self.positions:
            raise DiffilmError(
                f"a clip of {frames} frames; this motion module counts to {self.positions}: "
                "take fewer frames, or context windows of 16"
            )
        tokens = rearrange(self.norm(x), "(b t) c h w -> (b h w) t c", t=frames)
        positions = frame_positions(frames, channels).to(tokens)
        if torch.is_grad_enabled():
            tokens = self._transform(tokens, positions)
        else:
            for part in tokens.split(max(1, CHUNK // (frames * channels * 8))):
                part.copy_(self._transform(part, positions))
        h = rearrange(tokens, "(b h w) t c -> (b t) c h w", h=x.shape[2], w=x.shape[3])
        scale = clip.conditions.get("motion_scale")
        return x + h if scale is None else torch.addcmul(x, h, per_frame(scale, x, frames))

    def _transform(self, x: Tensor, positions: Tensor) -> Tensor:
        x = self.proj_in(x)
        for block in self.transformer_blocks:
            x = block(x, positions)
        return self.proj_out(x)


def frame_positions(frames: int, channels: int) -> Tensor:
    """Sinusoids `(t, c)` of the frames 0..t-1, sines at the even channels (Vaswani et al. 2017, sec. 3.5)."""
    rates = torch.exp(torch.arange(0, channels, 2) * (-math.log(1e4) / channels))
    angles = torch.arange(frames)[:, None] * rates
    return rearrange([angles.sin(), angles.cos()], "two t c -> t (c two)")


def per_frame(scale: float | Tensor, x: Tensor, frames: int) -> Tensor:
    """A strength as `(b t, 1, 1, 1)`; it is a number, or a tensor `(t,)` or `(b, t)`."""
    value = torch.as_tensor(scale).to(x)
    if value.ndim and value.shape[-1] != frames:
        raise DiffilmError(f"motion strengths of shape {tuple(value.shape)}; expected one a frame: ({frames},)")
    return value.expand(x.shape[0] // frames, frames).reshape(-1, 1, 1, 1)


def norm_jointly(norm: nn.Module, x: Tensor, frames: int) -> Tensor:
    """A GroupNorm of x `(b t) c h w` over all frames of each clip together."""
    height = x.shape[2]
    x = norm(rearrange(x, "(b t) c h w -> b c (t h) w", t=frames))
    return rearrange(x, "b c (t h) w -> (b t) c h w", h=height)


class MotionResBlock(ResBlock):
    """A ResBlock that a motion module may follow."""

    def __init__(self, build: Build, cin: int, emb: int, cout: int) -> None:
        super().__init__(build, cin, emb, cout)
        self.channels = cout
        self.motion: MotionModule | None = None

    def forward(self, x: Tensor, clip: Clip) -> Tensor:
        x = super().forward(x, clip)
        return self.motion(x, clip) if clip.time and self.motion is not None else x


class JointResBlock(MotionResBlock):
    """The same with its norms over all frames together, as AnimateDiff v1 was trained."""

    def forward(self, x: Tensor, clip: Clip) -> Tensor:
        if not clip.time:
            return super().forward(x, clip)
        h = self.in_layers[1:](norm_jointly(self.in_layers[0], x, clip.frames))
        h = h + per_row(self.emb_layers(clip.emb), h.shape[0])[:, :, None, None]
        h = self.out_layers[1:](norm_jointly(self.out_layers[0], h, clip.frames))
        x = self.skip_connection(x) + h
        return self.motion(x, clip) if self.motion is not None else x


class MotionTransformer(SpatialTransformer):
    """A spatial transformer that a motion module may follow."""

    def __init__(self, build: Build, channels: int, context_dim: int, heads: int, depth: int, use_linear: bool) -> None:
        super().__init__(build, channels, context_dim, heads, depth, use_linear)
        self.channels = channels
        self.motion: MotionModule | None = None

    def forward(self, x: Tensor, clip: Clip) -> Tensor:
        x = super().forward(x, clip)
        return self.motion(x, clip) if clip.time and self.motion is not None else x


class AnimateDiff(TemporalDialect):
    """A motion module after each [ResBlock, spatial transformer] on the way down and up, in the middle as an option.

    positions: the most frames that it counts. joint_norms: the ResBlocks and the last norm see all frames together
    (v1). depth: transformer blocks a module, each of `attentions` self-attentions of `heads` heads.
    The condition `motion_scale` is a number, or one a frame, `(t,)` or `(b, t)`; 1 where none is given.
    """

    name = "animatediff"

    def __init__(
        self, positions: int = 32, mid_block: bool = False, joint_norms: bool = False, heads: int = 8, depth: int = 1,
        attentions: int = 2,
    ) -> None:  # fmt: skip
        self.positions = positions
        self.mid_block = mid_block
        self.joint_norms = joint_norms
        self.heads = heads
        self.depth = depth
        self.attentions = attentions

    def res_block(self, build: Build, cin: int, emb: int, cout: int) -> ResBlock:
        return (JointResBlock if self.joint_norms else MotionResBlock)(build, cin, emb, cout)

    def transformers(
        self, build: Build, channels: int, context_dim: int, heads: int, depth: int, use_linear: bool
    ) -> list[nn.Module]:
        return [MotionTransformer(build, channels, context_dim, heads, depth, use_linear)]

    def finish(self, unet: UNet, build: Build) -> None:
        blocks = [*unet.input_blocks, *([unet.middle_block] if self.mid_block else []), *unet.output_blocks]
        for block in blocks:
            layers = [each for each in block if isinstance(each, (MotionResBlock, MotionTransformer))]
            if layers:
                last = layers[-2] if block is unet.middle_block else layers[-1]
                last.motion = MotionModule(build, last.channels, self)

    def head(self, unet: UNet, h: Tensor, clip: Clip) -> Tensor:
        if not (self.joint_norms and clip.time):
            return unet.out(h)
        return unet.out[1:](norm_jointly(unet.out[0], h, clip.frames))

    def reset(self, unet: UNet) -> None:
        for module in unet.modules():
            if isinstance(module, MotionModule):
                for parameter in module.proj_out.parameters():
                    nn.init.zeros_(parameter)
