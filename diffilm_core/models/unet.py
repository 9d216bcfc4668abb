"""The Stable Diffusion UNet (Rombach et al. 2022) as one skeleton, its time in a temporal dialect."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from ..errors import DiffilmError
from .attention import AttentionFunction, sdpa_attention
from .blocks import Build, Clip, ClipLayer, Downsample, Upsample, sinusoidal
from .temporal import DIALECTS


@dataclass(frozen=True)
class UNetConfig:
    """The shape of a UNet. The defaults are Stable Diffusion 1.5.

    `transformer_depth`: transformer blocks at each level, 0 for none. Heads: `head_dim` channels each where given,
    else `num_heads` of them. `temporal`: a name of `temporal.DIALECTS`, `temporal_options` its keywords.
    """

    in_channels: int = 4
    out_channels: int = 4
    model_channels: int = 320
    channel_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    transformer_depth: tuple[int, ...] = (1, 1, 1, 0)
    middle_depth: int = 1
    context_dim: int = 768
    num_heads: int = 8
    head_dim: int | None = None
    use_linear: bool = False
    temporal: str = "none"
    temporal_options: dict[str, Any] = field(default_factory=dict)

    def heads(self, channels: int) -> int:
        return self.num_heads if self.head_dim is None else channels // self.head_dim

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> UNetConfig:
        lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
        return cls(**{**values, **lists})

    def with_time(self, temporal: str = "pseudo3d") -> UNetConfig:
        return replace(self, temporal=temporal)


class Block(nn.ModuleList):
    """The layers between two skip connections, numbered as LDM numbers them."""

    def forward(self, x: Tensor, clip: Clip, size: tuple[int, int] | None = None) -> Tensor:
        for layer in self:
            if isinstance(layer, Upsample):
                x = layer(x, clip, size or (x.shape[2] * 2, x.shape[3] * 2))
            elif isinstance(layer, ClipLayer):
                x = layer(x, clip)
            else:
                x = layer(x)
        return x


class UNet(nn.Module):
    """Denoiser of clips: `unet(x, timesteps, context, fps=...)`, x `(b, c, t, h, w)`; see `forward`.

    operations: where Linear, Conv2d, GroupNorm and LayerNorm come from (`torch.nn`, or a host's). attention: see
    `attention.AttentionFunction`. Temporal layers start as the identity, so a fresh video UNet is its image UNet.
    """

    def __init__(
        self,
        config: UNetConfig,
        *,
        operations: Any = nn,
        attention: AttentionFunction = sdpa_attention,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.dtype = dtype
        self.over_time: Callable[..., Tensor] | None = None  # `sampling.OverTime`
        self.dialect = DIALECTS[config.temporal](**config.temporal_options)
        build = Build(self.dialect, operations, attention, {"dtype": dtype, "device": device})
        width, emb = config.model_channels, config.model_channels * 4
        self.time_embed = nn.Sequential(build.linear(width, emb), nn.SiLU(), build.linear(emb, emb))
        self.dialect.setup(self, build, width, emb)
        skips = self._build_down(build, emb)
        self._build_up(build, emb, skips)
        width *= config.channel_mult[0]
        self.out = nn.Sequential(build.norm(width), nn.SiLU(), build.conv(width, config.out_channels))
        self.dialect.finish(self, build)
        if torch.device(device or "cpu").type != "meta":
            self.reset_temporal()

    def _transformers(self, build: Build, channels: int, depth: int) -> list[nn.Module]:
        cfg = self.config
        return self.dialect.transformers(build, channels, cfg.context_dim, cfg.heads(channels), depth, cfg.use_linear)

    def _build_down(self, build: Build, emb: int) -> list[int]:
        cfg = self.config
        channels = cfg.model_channels
        self.input_blocks = nn.ModuleList(
            [Block([build.conv(cfg.in_channels, channels), *self.dialect.stem(build, channels)])]
        )
        skips = [channels]
        for level, (mult, depth) in enumerate(zip(cfg.channel_mult, cfg.transformer_depth, strict=True)):
            for _ in range(cfg.num_res_blocks):
                layers: list[nn.Module] = [self.dialect.res_block(build, channels, emb, mult * cfg.model_channels)]
                channels = mult * cfg.model_channels
                if depth:
                    layers += self._transformers(build, channels, depth)
                self.input_blocks.append(Block(layers))
                skips.append(channels)
            if level + 1 < len(cfg.channel_mult):
                self.input_blocks.append(Block([Downsample(build, channels)]))
                skips.append(channels)
        middle: list[nn.Module] = [self.dialect.res_block(build, channels, emb, channels)]
        if cfg.middle_depth:
            middle += self._transformers(build, channels, cfg.middle_depth)
        self.middle_block = Block([*middle, self.dialect.res_block(build, channels, emb, channels)])
        return skips

    def _build_up(self, build: Build, emb: int, skips: list[int]) -> None:
        cfg = self.config
        channels = skips[-1]
        self.output_blocks = nn.ModuleList()
        for level in reversed(range(len(cfg.channel_mult))):
            for index in range(cfg.num_res_blocks + 1):
                width = cfg.channel_mult[level] * cfg.model_channels
                layers: list[nn.Module] = [self.dialect.res_block(build, channels + skips.pop(), emb, width)]
                channels = width
                if cfg.transformer_depth[level]:
                    layers += self._transformers(build, channels, cfg.transformer_depth[level])
                if level and index == cfg.num_res_blocks:
                    layers.append(Upsample(build, channels))
                self.output_blocks.append(Block(layers))

    def reset_temporal(self) -> None:
        """Make every temporal layer the identity, so that the UNet is its image model."""
        self.dialect.reset(self)

    def temporal_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters that the dialect added, by name; all others are the image model's."""
        return {name: p for name, p in self.named_parameters() if is_temporal(name)}

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        *,
        enable_time: bool = True,
        **conditions: Any,
    ) -> Tensor:
        """Predict the noise (or v) of a noisy clip.

        x `(b, c, t, h, w)`; timesteps `(b,)`; context `(b, l, d)`, or one a frame `(b t, l, d)`. `enable_time=False`
        makes each frame on its own: the image model. conditions: what the dialect knows (`embed`), such as Diffilm's
        own `fps`. `over_time`, where set, may answer instead. Returns x's shape (with `out_channels`). Raises
        DiffilmError for a shape that does not fit.
        """
        if self.over_time is not None and enable_time and x.ndim == 5:
            return self.over_time(self._through, x, timesteps, context, conditions)
        return self._through(x, timesteps, context, enable_time=enable_time, **conditions)

    def _through(
        self, x: Tensor, timesteps: Tensor, context: Tensor, *, enable_time: bool, **conditions: Any
    ) -> Tensor:
        x = self.dialect.join(self, x, conditions)
        self._check(x, timesteps, context)
        frames = x.shape[2]
        emb = self.time_embed(sinusoidal(timesteps, self.config.model_channels).to(x.dtype))
        if enable_time:
            emb = self.dialect.embed(self, emb, conditions)
        clip = Clip(emb, context, frames, enable_time, conditions)
        h = rearrange(x, "b c t h w -> (b t) c h w")
        skips: list[Tensor] = []
        for block in self.input_blocks:
            h = block(h, clip)
            skips.append(h)
        h = self.middle_block(h, clip)
        for block in self.output_blocks:
            h = torch.cat([h, skips.pop()], dim=1)
            h = block(h, clip, skips[-1].shape[2:] if skips else None)
        return rearrange(self.dialect.head(self, h, clip), "(b t) c h w -> b c t h w", t=frames)

    def _check(self, x: Tensor, timesteps: Tensor, context: Tensor) -> None:
        cfg = self.config
        if x.ndim != 5 or x.shape[1] != cfg.in_channels:
            raise DiffilmError(
                f"UNet got x of shape {tuple(x.shape)}, expected (batch, {cfg.in_channels}, frames, height, width)"
            )
        if timesteps.shape != (x.shape[0],):
            raise DiffilmError(
                f"UNet got timesteps of shape {tuple(timesteps.shape)}, expected one a clip: ({x.shape[0]},)"
            )
        if (
            context.ndim != 3
            or context.shape[2] != cfg.context_dim
            or (context.shape[0] not in (x.shape[0], x.shape[0] * x.shape[2]))
        ):
            raise DiffilmError(
                f"UNet got text conditioning of shape {tuple(context.shape)}, expected "
                f"({x.shape[0]}, tokens, {cfg.context_dim}): use the text encoder that belongs to this model"
            )


_TEMPORAL = re.compile(
    r"\.temporal|\.motion\.|\.temopral_conv\.|\.time_(?:stack|mixer|pos_embed)\.|^fps_embed\.|^input_blocks\.0\.1\."
    r"|^(?:(?:in|out)put_blocks\.\d+|middle_block)\.2\.(?:norm|proj_in|proj_out|transformer_blocks)\."
)


def is_temporal(name: str) -> bool:
    """Whether a tensor of this name belongs to a temporal dialect."""
    return _TEMPORAL.search(name) is not None
