"""Our networks as the host's MODEL, CLIP and VAE. With `host`, the only file that touches ComfyUI's internals."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import comfy.model_management as mm
import folder_paths
import torch
from einops import rearrange
from torch import Tensor

from ..diffilm_core.models import UNet, UNetConfig
from .host import check_cancel
from .host_picture import TOLD, middle, picture_first


def host_attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """The attention that the host was started with."""
    from comfy.ldm.modules import attention

    return attention.optimized_attention(q, k, v, heads)


CONDITION = "diffilm_"
"""What a conditioning carries for our networks alone is named so: `diffilm_fps` reaches the network as `fps`."""
PREDICTIONS = {"eps": "EPS", "v": "V_PREDICTION", "edm_v": "V_PREDICTION_EDM"}


class HostForward:
    """Before a core network in the order of bases: builds it with the host's layers and takes the host's calls.

    The host's latents are 4-D, `(clips x frames, c, h, w)`. Every tensor comes from the file, and the host may not have
    allocated any when the network is built, so nothing is initialised.
    """

    def __init__(self, *, core: Any, dtype: Any = None, device: Any = None, operations: Any, **_: Any) -> None:
        super().__init__(core, operations=operations, attention=host_attention, dtype=dtype, device=device)

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
        transformer_options: dict | None = None, num_video_frames: int = 1, anchor_frames: int = 0, **kwargs: Any,
    ) -> Tensor:  # fmt: skip
        check_cancel()
        told = (transformer_options or {}).get(TOLD, {})
        if told.get("alone"):
            num_video_frames = 1
        if anchor_frames:
            seen = torch.arange(len(x), device=x.device) % num_video_frames >= anchor_frames
            own = {key: value[seen] if _is_rows(value, len(x)) else value for key, value in kwargs.items()}
            count = num_video_frames - anchor_frames
            part = self._forward(
                x[seen], timesteps[seen], context[seen], None, transformer_options, num_video_frames=count, **own
            )
            out = part.new_zeros(len(x), *part.shape[1:])
            out[seen] = part
            return out
        frames = num_video_frames if x.shape[0] % num_video_frames == 0 else x.shape[0]
        clip = rearrange(x, "(b t) c h w -> b c t h w", t=frames)
        conditions = self.conditions(kwargs, frames)
        conditions |= self.told(told, clip, (transformer_options or {}).get("context_window"))
        out = super().forward(clip, timesteps[::frames], per_clip(context, frames), **conditions)
        return rearrange(out, "b c t h w -> (b t) c h w")

    def told(self, what: dict[str, Any], clip: Tensor, window: Any) -> dict[str, Any]:
        """The conditions of `OverTime.told` for these rows `(b, c, t, h, w)`: of the moved clip what the host's context
        window holds, or its middle frame, where it has another number of them."""
        found = dict(what)
        found.pop("alone", None)
        moved = found.get("moved")
        if moved is not None and moved.shape[2] != clip.shape[2]:
            index = list(getattr(window, "index_list", ()))
            if len(index) == clip.shape[2]:
                found["moved"] = moved[:, :, index]
            else:
                found = {"picture": moved[:, :, middle(moved.shape[2])], "still": True}
        rows = {key: value for key, value in found.items() if isinstance(value, Tensor)}
        return found | {key: value.to(clip).expand(len(clip), -1, -1, -1, -1) for key, value in rows.items()}

    def conditions(self, kwargs: dict[str, Any], frames: int) -> dict[str, Any]:
        """The network's keywords from the host's: one value a clip of all that is named `diffilm_...`."""
        found = {key.removeprefix(CONDITION): value for key, value in kwargs.items() if key.startswith(CONDITION)}
        return {key: per_clip(value, frames) if isinstance(value, Tensor) else value for key, value in found.items()}


class HostUNet(HostForward, UNet):
    """The core's UNet with the host's layers."""

    def reset_temporal(self) -> None:
        """Nothing: see `HostForward`."""


def _is_rows(value: Any, rows: int) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0 and value.shape[0] == rows


def per_clip(values: Tensor, frames: int) -> Tensor:
    """`(b t, ...)` to `(b, ...)` where all frames of each clip have the same."""
    first = values[::frames]
    return first if torch.equal(first.repeat_interleave(frames, dim=0), values) else values


@lru_cache(maxsize=1)
def model_classes() -> SimpleNamespace:
    """`Latent`, `Model` and `Config`: what a MODEL is made of; a system's own are subclasses of them.

    Made on first use: a host that changed its base classes still gets the nodes that need no model.
    """
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
        """Batch rows are the frames of one clip; the host never splits them, except into context windows. Where the
        conditioning says `diffilm_pictures`, each is a picture of its own.

        Hosts from 0.33 put the frame before a window in front of it, for networks that only look back, and drop what
        comes of it. Ours see a window's frames on both sides and leave it out: a window is as long as it is said to be.
        """

        def extra_conds(self, **kwargs: Any) -> dict:
            out = super().extra_conds(**kwargs)
            out["num_video_frames"] = comfy.conds.CONDConstant(kwargs["noise"].shape[0])
            out["anchor_frames"] = comfy.conds.CONDConstant(0)
            for name, default in self.model_config.unet_config["conditions"].items():
                value = kwargs.get(CONDITION + name, default)
                out[CONDITION + name] = comfy.conds.CONDRegular(torch.tensor([float(value)]))
            if kwargs.get(CONDITION + "pictures"):
                out[CONDITION + "enable_time"] = comfy.conds.CONDConstant(False)
            return out

        def resize_cond_for_context_window(
            self, cond_key: str, cond_value: Any, window: Any, x_in: Tensor, device: Any, **_: Any
        ) -> Any:
            anchor = int(getattr(window, "causal_anchor_index", None) is not None)
            resized = {"num_video_frames": len(window.index_list) + anchor, "anchor_frames": anchor}
            return comfy.conds.CONDConstant(resized[cond_key]) if cond_key in resized else None

    class DiffilmConfig(comfy.supported_models_base.BASE):
        unet_extra_config: dict = {}
        unet_class: Any = HostUNet
        model_class: Any = DiffilmModel

        def __init__(
            self, unet_config: dict, latent_format: Any, model_type: Any, sampling: dict, memory: float
        ) -> None:
            self.latent_format = lambda: latent_format
            self.sampling_settings = sampling
            self.memory_usage_factor = memory
            self.chosen_type = model_type
            super().__init__(unet_config)

        def get_model(self, state_dict: Any = None, prefix: str = "", device: Any = None) -> Any:
            return self.model_class(self, self.chosen_type, device=device, unet_model=self.unet_class)

        def inpaint_model(self) -> bool:
            return False

    return SimpleNamespace(Latent=DiffilmLatent, Model=DiffilmModel, Config=DiffilmConfig)


def host_unet_config(core: Any, conditions: Mapping[str, float] | None = None) -> dict[str, Any]:
    """A network's shape in the host's words (LoRA names are mapped by them), with the core's own beside.

    conditions: the numbers that the network reads from a conditioning, with their defaults.
    """
    known = {"core": core, "conditions": dict(conditions or {})}
    if not isinstance(core, UNetConfig):
        return known
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
        **known,
    }


@lru_cache(maxsize=4)
def _patcher_class(base: Any) -> Any:
    class DiffilmPatcher(base):
        """Patches under the names that the host gives LoRAs of an image UNet reach the layers that they mean."""

        def add_patches(self, patches: dict, *args: Any, **kwargs: Any) -> Any:
            here = self.model.state_dict()
            meant = {}
            for key in patches:
                name, *part = (key,) if isinstance(key, str) else key
                moved = None if name in here else moved_name(name)
                if moved in here:
                    meant[moved if isinstance(key, str) else (moved, *part)] = key
            renamed = {key: patches[key] for key in patches if key not in meant.values()}
            renamed.update({key: patches[old] for key, old in meant.items()})
            return [meant.get(key, key) for key in super().add_patches(renamed, *args, **kwargs)]

    return DiffilmPatcher


def moved_name(name: str) -> str:
    """Where a layer of the image UNet stands in one with a temporal transformer as a layer of its own after each
    spatial one (ModelScope): the second ResBlock of the middle and the upsamplers are one place on."""
    name = name.replace(".middle_block.2.", ".middle_block.3.")
    return re.sub(r"(\.output_blocks\.\d+)\.2\.conv\.", r"\1.3.conv.", name)


def make_unet_model(
    core: Any,
    weights: Mapping[str, Tensor],
    *,
    latent_format: Any,
    fingerprint: str,
    prediction: str = "eps",
    sampling: Mapping[str, Any] | None = None,
    sigmas: Tensor | None = None,
    conditions: Mapping[str, float] | None = None,
    memory: float = 1.0,
    dtype: torch.dtype | None = None,
    unet_class: type = HostUNet,
    model_class: type | None = None,
) -> Any:
    """A core network as the host's MODEL (a ModelPatcher).

    core: its config; weights: its tensors in our names. latent_format: one of the host's, or `model_classes().Latent`.
    prediction: a name of PREDICTIONS. sampling: the host's `sampling_settings` (timesteps, sigma_max ...);
    sigmas: the noise levels themselves, where the host has no such schedule. conditions: numbers that the network
    reads from a conditioning, with defaults. memory: the host's `memory_usage_factor`, 1 being 10,486 numbers a latent
    position. dtype: how the weights are kept; None leaves it to the host. unet_class: `HostForward` before a core
    network; model_class: a subclass of `model_classes().Model`.
    """
    import comfy.model_base
    import comfy.model_patcher

    kind = comfy.model_base.ModelType[PREDICTIONS[prediction]]
    shape = host_unet_config(core, conditions)
    config = model_classes().Config(shape, latent_format, kind, dict(sampling or {}), memory)
    config.unet_class, config.model_class = unet_class, model_class or config.model_class
    load_device, offload_device = mm.get_torch_device(), mm.unet_offload_device()
    supported = list(config.supported_inference_dtypes)
    size, stored = sum(value.numel() for value in weights.values()), next(iter(weights.values())).dtype
    dtype = dtype or mm.unet_dtype(model_params=size, supported_dtypes=supported, weight_dtype=stored)
    config.set_inference_dtype(dtype, mm.unet_manual_cast(dtype, load_device, supported))
    model = config.get_model()
    if sigmas is not None:
        model.model_sampling.set_sigmas(sigmas)
    model.diffilm_fingerprint = fingerprint
    base = getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)
    patcher = _patcher_class(base)(model, load_device=load_device, offload_device=offload_device)
    if not mm.is_device_cpu(offload_device):
        model.to(offload_device)
    options = {"assign": True} if getattr(patcher, "is_dynamic", bool)() else {}
    model.load_model_weights({key: value.to(dtype) for key, value in weights.items()}, "", **options)
    return patcher


def make_model(video_model: Any) -> Any:
    """A core `VideoModel`'s UNet as the host's MODEL."""
    vae, schedule = video_model.vae, video_model.schedule
    patcher = make_unet_model(
        video_model.unet.config,
        video_model.unet.state_dict(),
        latent_format=model_classes().Latent(vae.config.z_channels, vae.config.scale_factor, *preview_factors(vae)),
        fingerprint=video_model.fingerprint,
        prediction=video_model.prediction,
        sampling={"timesteps": len(schedule)},
        sigmas=schedule.sigmas,
        conditions={"fps": video_model.defaults.fps},
    )
    if video_model.unet.over_time is not None:
        from comfy.patcher_extension import WrappersMP

        patcher.model.diffusion_model.over_time = video_model.unet.over_time
        patcher.add_wrapper(WrappersMP.SAMPLER_SAMPLE, picture_first)
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
