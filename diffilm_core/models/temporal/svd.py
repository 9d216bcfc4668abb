"""Stable Video Diffusion's dialect (Blattmann et al. 2023), with the tensor names of its single files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from einops import rearrange
from torch import Tensor, nn

from ...errors import DiffilmError
from ..blocks import Clip, FeedForward, ResBlock, SpatialTransformer, TransformerBlock, per_row, sinusoidal
from ..build import Build
from ..dialect import TemporalDialect

if TYPE_CHECKING:
    from ..unet import UNet

IDS, ID_WIDTH = 3, 256  # numbers beside the timestep, and how wide the sinusoid of each is
DEFAULT_IDS = (5.0, 127.0, 0.0)  # 6 frames a second, motion bucket 127, no noise on the picture


class Mixer(nn.Module):
    """A learned blend: sigmoid(mix_factor) of the spatial branch, the rest of the temporal one.

    Frames marked in `image_only` `(b, t)` keep the spatial branch alone.
    """

    def __init__(self, build: Build) -> None:
        super().__init__()
        self.mix_factor = nn.Parameter(torch.full((1,), 0.5, **build.factory))

    def forward(self, spatial: Tensor, temporal: Tensor, clip: Clip) -> Tensor:
        """Both `(b t) ...`, the same shape out."""
        alpha = torch.sigmoid(self.mix_factor.to(spatial.device, torch.float32))
        image_only = clip.conditions.get("image_only")
        if image_only is not None:
            marked = rearrange(image_only.bool().to(spatial.device), "b t -> (b t)")
            alpha = torch.where(marked, 1.0, alpha).view(-1, *(1,) * (spatial.ndim - 1))
        return torch.lerp(temporal, spatial, alpha.to(spatial.dtype))


class TimeResBlock(nn.Module):
    """A ResBlock whose convolutions are `(3, 1, 1)`: over the frames alone, normalised over all of them together."""

    def __init__(self, build: Build, channels: int, emb: int) -> None:
        super().__init__()

        def conv() -> nn.Module:
            return build.operations.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0), **build.factory)

        self.in_layers = nn.Sequential(build.norm(channels), nn.SiLU(), conv())
        self.emb_layers = nn.Sequential(nn.SiLU(), build.linear(emb, channels))
        self.out_layers = nn.Sequential(build.norm(channels), nn.SiLU(), nn.Identity(), conv())

    def forward(self, x: Tensor, clip: Clip) -> Tensor:
        emb = per_row(self.emb_layers(clip.emb), x.shape[0])
        h = rearrange(x, "(b t) c h w -> b c t h w", t=clip.frames)
        h = self.in_layers(h) + rearrange(emb, "(b t) c -> b c t 1 1", t=clip.frames)
        return x + rearrange(self.out_layers(h), "b c t h w -> (b t) c h w")


class VideoResBlock(ResBlock):
    def __init__(self, build: Build, cin: int, emb: int, cout: int) -> None:
        super().__init__(build, cin, emb, cout)
        self.time_stack = TimeResBlock(build, cout, emb)
        self.time_mixer = Mixer(build)

    def forward(self, x: Tensor, clip: Clip) -> Tensor:
        x = super().forward(x, clip)
        return self.time_mixer(x, self.time_stack(x, clip), clip) if clip.time else x


class TimeTransformerBlock(TransformerBlock):
    """A transformer block with a feed-forward more, before the others."""

    def __init__(self, build: Build, dim: int, context_dim: int, heads: int) -> None:
        super().__init__(build, dim, context_dim, heads)
        self.norm_in = build.layer_norm(dim)
        self.ff_in = FeedForward(build, dim)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return super().forward(x + self.ff_in(self.norm_in(x)), context)


class VideoTransformer(SpatialTransformer):
    """After each spatial block one over the frames of every pixel, which attends to the first frame's context."""

    def __init__(self, build: Build, channels: int, context_dim: int, heads: int, depth: int, use_linear: bool) -> None:
        super().__init__(build, channels, context_dim, heads, depth, use_linear)
        self.time_stack = nn.ModuleList(TimeTransformerBlock(build, channels, context_dim, heads) for _ in range(depth))
        self.time_pos_embed = nn.Sequential(
            build.linear(channels, channels * 4), nn.SiLU(), build.linear(channels * 4, channels)
        )
        self.time_mixer = Mixer(build)

    def transform(self, x: Tensor, clip: Clip) -> Tensor:
        if not clip.time:
            return super().transform(x, clip)
        numbers = torch.arange(clip.frames, device=x.device)
        position = self.time_pos_embed(sinusoidal(numbers, x.shape[-1]).to(x.dtype))
        clips = x.shape[0] // clip.frames
        context = clip.context[:: clip.context.shape[0] // clips]
        for block, time_block in zip(self.transformer_blocks, self.time_stack, strict=True):
            x = block(x, clip.context)
            h = rearrange(x, "(b t) s c -> (b s) t c", t=clip.frames) + position
            h = rearrange(time_block(h, context), "(b s) t c -> (b t) s c", b=clips)
            x = self.time_mixer(x, h, clip)
        return x


class StableVideo(TemporalDialect):
    """Each ResBlock and each spatial transformer has a temporal twin that is blended in by a learned share.

    Conditions: `concat` `(b, 4, t, h, w)`, the unscaled latent of the picture that the clip starts from, repeated over
    the frames; `time_ids` `(b, 3)` or three numbers: frames a second minus 1, motion bucket, noise augmentation;
    `image_only` `(b, t)`, frames without time.
    """

    name = "svd"

    def res_block(self, build: Build, cin: int, emb: int, cout: int) -> ResBlock:
        return VideoResBlock(build, cin, emb, cout)

    def transformers(
        self, build: Build, channels: int, context_dim: int, heads: int, depth: int, use_linear: bool
    ) -> list[nn.Module]:
        return [VideoTransformer(build, channels, context_dim, heads, depth, use_linear)]

    def setup(self, unet: UNet, build: Build, width: int, emb: int) -> None:
        layers = nn.Sequential(build.linear(IDS * ID_WIDTH, emb), nn.SiLU(), build.linear(emb, emb))
        unet.label_emb = nn.Sequential(layers)

    def join(self, unet: UNet, x: Tensor, conditions: dict[str, Any]) -> Tensor:
        concat = conditions.get("concat")
        return x if concat is None else torch.cat([x, concat.to(x).expand(x.shape[0], -1, *x.shape[2:])], dim=1)

    def embed(self, unet: UNet, emb: Tensor, conditions: dict[str, Any]) -> Tensor:
        ids = conditions.get("time_ids")
        values = torch.as_tensor(DEFAULT_IDS if ids is None else ids, dtype=torch.float32, device=emb.device)
        values = values.expand(emb.shape[0], -1) if values.ndim == 2 else values.expand(emb.shape[0], values.shape[0])
        if values.shape[1] != IDS:
            raise DiffilmError(
                f"Stable Video Diffusion got {values.shape[1]} time ids, expected {IDS}: frames a second minus 1, "
                "motion bucket, noise augmentation"
            )
        y = rearrange(sinusoidal(values.flatten(), ID_WIDTH), "(b n) d -> b (n d)", b=emb.shape[0])
        return emb + unet.get_submodule("label_emb")(y.to(emb.dtype))
