"""ModelScope's dialect (Wang et al. 2023, ModelScope text-to-video), Zeroscope's too, with the names of its files."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn

from ..blocks import Clip, ClipLayer, ResBlock, SpatialTransformer, TransformerBlock
from ..build import Build
from ..dialect import TemporalDialect

STEM_HEADS = 8


class TemporalConvs(nn.Module):
    """Four of [norm over all frames together, SiLU, convolution over three frames], added back; starts as the identity.

    The file's `(3, 1, 1)` kernels are kept as `(3, 1)`, over `(t, h w)`: a third quicker on a CPU.
    """

    def __init__(self, build: Build, channels: int) -> None:
        super().__init__()
        for index in range(1, 5):
            conv = build.operations.Conv2d(channels, channels, (3, 1), padding=(1, 0), **build.factory)
            dropout = [nn.Identity()] if index > 1 else []
            self.add_module(f"conv{index}", nn.Sequential(build.norm(channels), nn.SiLU(), *dropout, conv))

    def reset(self) -> None:
        for parameter in self.get_submodule("conv4.3").parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        height = x.shape[2]
        h = clip = rearrange(x, "(b t) c h w -> b c t (h w)", t=frames)
        for conv in self.children():
            h = conv(h)
        return rearrange(clip + h, "b c t (h w) -> (b t) c h w", h=height)


class TemporalResBlock(ResBlock):
    def __init__(self, build: Build, cin: int, emb: int, cout: int) -> None:
        super().__init__(build, cin, emb, cout)
        self.temopral_conv = TemporalConvs(build, cout)

    def forward(self, x: Tensor, clip: Clip) -> Tensor:
        x = super().forward(x, clip)
        return self.temopral_conv(x, clip.frames) if clip.time else x


class TemporalTransformer(ClipLayer):
    """A transformer block over the frames of each pixel, with two self-attentions and no positions; added back.

    Normalised over all frames together. Between the projections, `inner` channels in rows `(b h w) t c`.
    """

    def __init__(self, build: Build, channels: int, inner: int, heads: int) -> None:
        super().__init__()
        self.norm = build.norm(channels, eps=1e-6)
        self.proj_in = build.linear(channels, inner)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(build, inner, inner, heads)])
        self.proj_out = build.linear(inner, channels)

    def reset(self) -> None:
        for parameter in self.proj_out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, clip: Clip) -> Tensor:
        if not clip.time:
            return x
        height, width = x.shape[2:]
        h = self.norm(rearrange(x, "(b t) c h w -> b c (t h w)", t=clip.frames))
        h = self.proj_in(h.transpose(1, 2).contiguous())
        h = rearrange(h, "b (t n) c -> (b n) t c", t=clip.frames).contiguous()  # whole rows move
        for block in self.transformer_blocks:
            h = block(h)
        h = rearrange(self.proj_out(h), "(b n) t c -> (b t) n c", n=height * width)
        return x + rearrange(h, "r (h w) c -> r c h w", h=height)


class ModelScope(TemporalDialect):
    """A transformer over time after the first convolution and after each spatial one, convolutions over time after
    each ResBlock. `head_dim`: the channels of the first transformer's 8 heads."""

    name = "modelscope"

    def __init__(self, head_dim: int = 64) -> None:
        self.head_dim = head_dim

    def stem(self, build: Build, channels: int) -> list[nn.Module]:
        return [TemporalTransformer(build, channels, STEM_HEADS * self.head_dim, STEM_HEADS)]

    def res_block(self, build: Build, cin: int, emb: int, cout: int) -> ResBlock:
        return TemporalResBlock(build, cin, emb, cout)

    def transformers(
        self, build: Build, channels: int, context_dim: int, heads: int, depth: int, use_linear: bool
    ) -> list[nn.Module]:
        spatial = SpatialTransformer(build, channels, context_dim, heads, depth, use_linear)
        return [spatial, TemporalTransformer(build, channels, channels, heads)]

    def reset(self, unet: nn.Module) -> None:
        for module in unet.modules():
            if isinstance(module, (TemporalConvs, TemporalTransformer)):
                module.reset()
