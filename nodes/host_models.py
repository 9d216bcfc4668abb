"""Our networks as the host's MODEL, CLIP and VAE. With `host`, the only file that touches ComfyUI's internals."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import comfy.model_management as mm
import folder_paths
import torch
from einops import rearrange
from torch import Tensor

from ..diffilm_core.models import UNet
from .host import check_cancel


def host_attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """The attention that the host was started with."""
    from comfy.ldm.modules import attention

    return attention.optimized_attention(q, k, v, heads)


class HostUNet(UNet):
    """The core's UNet with the host's layers, called with the host's 4-D `(clips x frames, c, h, w)`."""

    def __init__(self, *, core: Any, dtype: Any = None, device: Any = None, operations: Any, **_: Any) -> None:
        super().__init__(core, operations=operations, attention=host_attention, dtype=dtype, device=device)

    def reset_temporal(self) -> None:
        """Nothing: every tensor comes from the file, and the host may not have allocated any yet."""

    def forward(
        self, x: Tensor, timesteps: Tensor, context: Tensor, control: Any = None,
        transformer_options: dict | None = None, **kwargs: Any,
    ) -> Tensor:  # fmt: skip
        from comfy.patcher_extension import WrapperExecutor, WrappersMP, get_all_wrappers

        options = transformer_options or {}
        wrappers = get_all_wrappers(WrappersMP.DIFFUSION_MODEL, options)
        executor = WrapperExecutor.new_class_executor(self._forward, self, wrappers)
        return executor.execute(x, timesteps, context, control, options, **kwargs)

    def _forward(
        self, x: Tensor, timesteps: Tensor, context: Tensor, control: Any = None,
        transformer_options: dict | None = None, num_video_frames: int = 1, diffilm_fps: Tensor | None = None,
        **_: Any,
    ) -> Tensor:  # fmt: skip
        check_cancel()
        frames = num_video_frames if x.shape[0] % num_video_frames == 0 else x.shape[0]
        clip = rearrange(x, "(b t) c h w -> b c t h w", t=frames)
        fps = None if diffilm_fps is None else _per_clip(diffilm_fps, frames)
        out = super().forward(clip, timesteps[::frames], _per_clip(context, frames), fps=fps)
        return rearrange(out, "b c t h w -> (b t) c h w")


def _per_clip(values: Tensor, frames: int) -> Tensor:
    """`(b t, ...)` to `(b, ...)` where all frames of each clip have the same."""
    first = values[::frames]
    return first if torch.equal(first.repeat_interleave(frames, dim=0), values) else values


@lru_cache(maxsize=1)
def _model_classes() -> SimpleNamespace:
    """Made on first use: a host that changed its base classes still gets the nodes that need no model."""
    import comfy.conds
    import comfy.latent_formats
    import comfy.model_base
    import comfy.supported_models_base

    class DiffilmLatent(comfy.latent_formats.LatentFormat):
        def __init__(self, channels: int, scale: float, rgb: list[list[float]], bias: list[float]) -> None:
            self.latent_channels = channels
            self.scale_factor = scale
            self.latent_rgb_factors = rgb
            self.latent_rgb_factors_bias = bias
            self.taesd_decoder_name = None

    class DiffilmModel(comfy.model_base.BaseModel):
        """Batch rows are the frames of one clip; the host never splits them, except into context windows."""

        def extra_conds(self, **kwargs: Any) -> dict:
            out = super().extra_conds(**kwargs)
            out["num_video_frames"] = comfy.conds.CONDConstant(kwargs["noise"].shape[0])
            rate = kwargs.get("diffilm_fps", self.model_config.unet_config["default_fps"])
            out["diffilm_fps"] = comfy.conds.CONDRegular(torch.tensor([float(rate)]))
            return out

        def resize_cond_for_context_window(
            self, cond_key: str, cond_value: Any, window: Any, x_in: Tensor, device: Any, **_: Any
        ) -> Any:
            if cond_key != "num_video_frames":
                return None
            anchor = getattr(window, "causal_anchor_index", None) is not None
            return comfy.conds.CONDConstant(len(window.index_list) + int(anchor))

    class DiffilmConfig(comfy.supported_models_base.BASE):
        unet_extra_config: dict = {}
        memory_usage_factor = 1.0

        def __init__(self, unet_config: dict, latent_format: Any, model_type: Any, sampling: dict) -> None:
            self.latent_format = lambda: latent_format
            self.sampling_settings = sampling
            self.chosen_type = model_type
            super().__init__(unet_config)

        def get_model(self, state_dict: Any = None, prefix: str = "", device: Any = None) -> Any:
            return DiffilmModel(self, self.chosen_type, device=device, unet_model=HostUNet)

        def inpaint_model(self) -> bool:
            return False

    types = comfy.model_base.ModelType
    return SimpleNamespace(Latent=DiffilmLatent, Config=DiffilmConfig, types=types)


def host_unet_config(core: Any, default_fps: float) -> dict[str, Any]:
    """The UNet's shape in the host's words (LoRA names are mapped by them), with the core's own beside."""
    levels, blocks = len(core.channel_mult), core.num_res_blocks
    return {
        "in_channels": core.in_channels,
        "out_channels": core.out_channels,
        "model_channels": core.model_channels,
        "channel_mult": list(core.channel_mult),
        "num_res_blocks": [blocks] * levels,
        "transformer_depth": [d for d in core.transformer_depth for _ in range(blocks)],
        "transformer_depth_output": [d for d in core.transformer_depth for _ in range(blocks + 1)],
        "transformer_depth_middle": core.middle_depth,
        "context_dim": core.context_dim,
        "use_linear_in_transformer": core.use_linear,
        "default_fps": float(default_fps),
        "core": core,
    }


def make_model(video_model: Any) -> Any:
    """A core `VideoModel`'s UNet as the host's MODEL (a ModelPatcher)."""
    import comfy.model_patcher

    made = _model_classes()
    vae, schedule = video_model.vae, video_model.schedule
    latent = made.Latent(vae.config.z_channels, vae.config.scale_factor, *preview_factors(vae))
    kind = made.types.V_PREDICTION if video_model.prediction == "v" else made.types.EPS
    core = video_model.unet.config
    config = made.Config(host_unet_config(core, video_model.defaults.fps), latent, kind, {"timesteps": len(schedule)})
    weights = video_model.unet.state_dict()
    load_device, offload_device = mm.get_torch_device(), mm.unet_offload_device()
    supported = list(config.supported_inference_dtypes)
    size, stored = sum(value.numel() for value in weights.values()), next(iter(weights.values())).dtype
    dtype = mm.unet_dtype(model_params=size, supported_dtypes=supported, weight_dtype=stored)
    config.set_inference_dtype(dtype, mm.unet_manual_cast(dtype, load_device, supported))
    model = config.get_model()
    model.model_sampling.set_sigmas(schedule.sigmas)
    model.diffilm_fingerprint = video_model.fingerprint
    patcher_class = getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)
    patcher = patcher_class(model, load_device=load_device, offload_device=offload_device)
    if not mm.is_device_cpu(offload_device):
        model.to(offload_device)
    options = {"assign": True} if getattr(patcher, "is_dynamic", bool)() else {}
    model.load_model_weights({key: value.to(dtype) for key, value in weights.items()}, "", **options)
    return patcher


@torch.no_grad()
def preview_factors(vae: Any, cells: int = 8) -> tuple[list[list[float]], list[float]]:
    """The linear map from a latent to RGB in [-1, 1] that best fits the autoencoder, for the sampler's previews."""
    generator = torch.Generator().manual_seed(0)
    weight = next(vae.parameters())
    z = torch.randn(4, vae.config.z_channels, cells, cells, generator=generator)
    z = z + torch.randn(4, vae.config.z_channels, 1, 1, generator=generator)
    pixels = vae.decode(z.to(weight)).float().cpu()
    small = torch.nn.functional.adaptive_avg_pool2d(pixels, cells)
    inputs = rearrange(z, "b c h w -> (b h w) c")
    inputs = torch.cat([inputs, torch.ones(len(inputs), 1)], dim=1)
    found = torch.linalg.lstsq(inputs, rearrange(small, "b c h w -> (b h w) c")).solution
    return found[:-1].tolist(), found[-1].tolist()


@lru_cache(maxsize=1)
def _text_classes() -> SimpleNamespace:
    import comfy.clip_model
    import comfy.sd1_clip

    class SizedText(comfy.clip_model.CLIPTextModel):
        """The host's CLIP text model with a vocabulary of any size."""

        def __init__(self, config: dict, dtype: Any, device: Any, operations: Any) -> None:
            super().__init__(config, dtype, device, operations)
            self.text_model.embeddings = comfy.clip_model.CLIPEmbeddings(
                config["hidden_size"], vocab_size=config["vocab_size"],
                num_positions=config["max_position_embeddings"], dtype=dtype, device=device, operations=operations,
            )  # fmt: skip

    def clip_model(text: Any) -> Callable[..., Any]:
        prompts, config = text.prompts, text.model.config.to_dict()
        layer = {"layer": "last"} if text.layer == -1 else {"layer": "hidden", "layer_idx": text.layer}
        tokens = {"start": prompts.start, "end": prompts.end, "pad": prompts.pad}

        class Encoder(comfy.sd1_clip.SDClipModel):
            def __init__(self, device: Any = "cpu", dtype: Any = None, model_options: Any = None) -> None:
                super().__init__(
                    device=device, max_length=text.window, textmodel_json_config=dict(config), dtype=dtype,
                    model_class=SizedText, special_tokens=tokens, return_projected_pooled=False,
                    model_options=model_options or {}, **layer,
                )  # fmt: skip

        class Model(comfy.sd1_clip.SD1ClipModel):
            def __init__(self, device: Any = "cpu", dtype: Any = None, model_options: Any = None) -> None:
                super().__init__(device=device, dtype=dtype, model_options=model_options or {}, clip_model=Encoder)

        return Model

    def tokenizer(text: Any) -> Callable[..., Any]:
        loaded = SimpleNamespace(from_pretrained=lambda *_, **__: text.tokenizer)

        class Words(comfy.sd1_clip.SDTokenizer):
            def __init__(self, embedding_directory: Any = None, tokenizer_data: Any = None) -> None:
                super().__init__(
                    tokenizer_path=".", max_length=text.window, embedding_directory=embedding_directory,
                    embedding_size=text.width, tokenizer_class=loaded, pad_token=text.prompts.pad,
                    tokenizer_data=tokenizer_data or {},
                )  # fmt: skip

        class Tokenizer(comfy.sd1_clip.SD1Tokenizer):
            def __init__(self, embedding_directory: Any = None, tokenizer_data: Any = None) -> None:
                super().__init__(embedding_directory, tokenizer_data or {}, tokenizer=Words)

        return Tokenizer

    return SimpleNamespace(model=clip_model, tokenizer=tokenizer)


def make_clip(video_model: Any) -> Any:
    """A core `VideoModel`'s text encoder as the host's CLIP, in float32: it is small."""
    import comfy.sd
    import comfy.supported_models_base

    made, text = _text_classes(), video_model.text
    weights = {
        "clip_l.transformer.text_model." + key.removeprefix("text_model."): value.float()
        for key, value in text.model.state_dict().items()
        if not key.endswith("position_ids")
    }
    weights["clip_l.transformer.text_projection.weight"] = torch.eye(text.width)
    target = comfy.supported_models_base.ClipTarget(made.tokenizer(text), made.model(text))
    return comfy.sd.CLIP(
        target, embedding_directory=folder_paths.get_folder_paths("embeddings"),
        parameters=sum(value.numel() for value in weights.values()), state_dict=weights,
        model_options={"dtype": torch.float32},
    )  # fmt: skip


def make_vae(video_model: Any) -> Any:
    """A core `VideoModel`'s autoencoder as the host's VAE."""
    import comfy.sd

    cfg = video_model.vae.config
    shape = {
        "double_z": True, "z_channels": cfg.z_channels, "resolution": 256, "in_channels": cfg.in_channels,
        "out_ch": cfg.in_channels, "ch": cfg.ch, "ch_mult": list(cfg.ch_mult), "num_res_blocks": cfg.num_res_blocks,
        "attn_resolutions": [], "dropout": 0.0,
    }  # fmt: skip
    weights = {key: value.clone() for key, value in video_model.vae.state_dict().items()}
    vae = comfy.sd.VAE(sd=weights, config={"params": {"ddconfig": shape, "embed_dim": cfg.z_channels}})
    vae.latent_channels = cfg.z_channels
    vae.downscale_ratio = vae.upscale_ratio = cfg.downscale
    vae.diffilm_fingerprint = video_model.fingerprint
    return vae
