"""What a temporal dialect is asked for: what a video model puts between the spatial layers of the UNet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from .blocks import Clip, ResBlock, SpatialTransformer
from .build import Build

if TYPE_CHECKING:
    from .unet import UNet


class TemporalDialect:
    """This one puts nothing anywhere: the image model. A subclass says what its system has.

    Its keyword options are `UNetConfig.temporal_options`. The UNet asks it for layers while it is built, in the order
    of the network. Layers of a block are called `(x, clip)`, x `(b t) c h w`, see `blocks.ClipLayer`; those of
    `after_conv` and `after_attention` are called `(x, frames)`.
    """

    name = "none"

    def after_conv(self, build: Build, channels: int) -> nn.Module | None:
        """The layer after a 3x3, downsampling or upsampling convolution of `channels`."""
        return None

    def after_attention(self, build: Build, channels: int, heads: int) -> nn.Module | None:
        """The layer after a spatial transformer of `channels`, kept inside it."""
        return None

    def stem(self, build: Build, channels: int) -> list[nn.Module]:
        """Layers of the first block, after its convolution."""
        return []

    def res_block(self, build: Build, cin: int, emb: int, cout: int) -> ResBlock:
        return ResBlock(build, cin, emb, cout)

    def transformers(
        self, build: Build, channels: int, context_dim: int, heads: int, depth: int, use_linear: bool
    ) -> list[nn.Module]:
        """The layers after a ResBlock at a level with attention: the spatial transformer and what follows it."""
        return [SpatialTransformer(build, channels, context_dim, heads, depth, use_linear)]

    def setup(self, unet: UNet, build: Build, width: int, emb: int) -> None:
        """Add what stands at the root of the UNet, such as embeddings of conditions; width -> emb channels."""

    def join(self, unet: UNet, x: Tensor, conditions: dict[str, Any]) -> Tensor:
        """The network's input `(b, in_channels, t, h, w)`: the noisy clip x and what a condition puts beside it."""
        return x

    def embed(self, unet: UNet, emb: Tensor, conditions: dict[str, Any]) -> Tensor:
        """The time embedding `(b, d)` with the clip's conditions in it; called where the temporal layers are on."""
        return emb

    def finish(self, unet: UNet, build: Build) -> None:
        """Put layers where the finished UNet has its own; called once, when all its blocks are built."""

    def head(self, unet: UNet, h: Tensor, clip: Clip) -> Tensor:
        """The last norm and convolution; h `(b t) c h w`."""
        return unet.out(h)

    def reset(self, unet: UNet) -> None:
        """Make a fresh UNet its image model; called once, when it was built with memory of its own."""
