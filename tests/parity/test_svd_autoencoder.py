"""Proves that Stable Video Diffusion's autoencoder equals diffusers' AutoencoderKLTemporalDecoder to 1e-5 on the same
random weights in both layouts, that its image encoder equals open_clip's, and that every tensor is consumed."""

from __future__ import annotations

import ast
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from diffilm_core.checkpoints import image_encoder, svd
from diffilm_core.checkpoints.config import vae_config
from diffilm_core.errors import DiffilmError
from diffilm_core.frames import decode
from diffilm_core.models.temporal_decoder import TemporalAutoencoder
from tests.published.svd import to_open_clip

diffusers = pytest.importorskip("diffusers")
KEYS = Path(__file__).parents[1] / "keys"
ENCODER_PARAMETERS = 632_076_800


def published(name: str) -> dict[str, Tensor]:
    """The tensors of a list of names and shapes, on the meta device."""
    lines = (line.split(" ", 1) for line in (KEYS / name).read_text().splitlines())
    return {name: torch.empty(ast.literal_eval(shape), device="meta") for name, shape in lines}


def shapes(tensors: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


@pytest.fixture(scope="module")
def pair() -> tuple[Any, TemporalAutoencoder]:
    torch.manual_seed(0)
    peer = diffusers.AutoencoderKLTemporalDecoder(
        block_out_channels=(32, 64),
        down_block_types=("DownEncoderBlock2D",) * 2,
        latent_channels=4,
        layers_per_block=2,
    )
    peer.eval().requires_grad_(False)
    for parameter in peer.parameters():
        if parameter.ndim == 1:
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return peer, ours_of(svd.find_diffusers_vae(peer.state_dict()))


def ours_of(tensors: dict[str, Tensor] | None) -> TemporalAutoencoder:
    assert tensors is not None
    vae = TemporalAutoencoder(vae_config(tensors)).eval().requires_grad_(False)
    vae.load_state_dict(tensors)
    return vae


def far(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_decode_is_theirs(pair: Any, frames: int) -> None:
    peer, ours = pair
    z = torch.randn(frames, 4, 5, 7, generator=torch.Generator().manual_seed(frames))
    assert far(ours.decode(z * 0.18215), peer.decode(z, num_frames=frames).sample) <= 1e-5


def test_encode_is_theirs_and_not_scaled(pair: Any) -> None:
    peer, ours = pair
    pixels = torch.rand(2, 3, 12, 20) * 2 - 1
    mode = peer.encode(pixels).latent_dist.mode()
    assert far(ours.encode_image(pixels), mode) <= 1e-5
    assert far(ours.encode(pixels), mode * 0.18215) <= 1e-5


def test_a_stream_decodes_the_chunks_it_was_told(pair: Any) -> None:
    _, ours = pair
    z = torch.randn(4, 5, 4, 4)  # c, t, h, w

    def frames(part: Tensor) -> Tensor:
        return ((ours.decode(part.transpose(0, 1)) + 1) / 2).clamp(0, 1).permute(0, 2, 3, 1)

    by_two = torch.cat([frames(part) for part in z.split(2, dim=1)])
    assert torch.equal(decode(ours, z, 6, batch=2).collect(), by_two)
    assert torch.equal(decode(ours, z, 6, batch=2, chunk=1).collect(), by_two)
    assert torch.equal(decode(ours, z, 6, batch=8).collect(), frames(z))
    assert not torch.allclose(frames(z), by_two, atol=1e-3)


def single_file(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The autoencoder as the published single file holds it, its encoder of the first stage another one."""
    plain = {n: t for n, t in tensors.items() if ".time_" not in n and not n.endswith("mix_factor")}
    first = {n: t * 2 if n.startswith("encoder.") else t for n, t in tensors.items() if "quant_conv" not in n}
    return {f"first_stage_model.{n}": t for n, t in first.items()} | {
        f"conditioner.embedders.3.encoder.{n}": t for n, t in plain.items()
    }


def test_the_single_file_gives_the_same_tensors(pair: Any) -> None:
    _, ours = pair
    tensors = dict(ours.state_dict())
    found = svd.find_original_vae(single_file(tensors))
    assert found is not None and found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    saved = {f"first_stage_model.{n}": t for n, t in tensors.items() if "quant_conv" not in n}
    plain = ours_of(svd.find_original_vae(saved))
    pixels = torch.rand(1, 3, 8, 8) * 2 - 1
    assert torch.allclose(plain.encode_image(pixels), ours.encoder(pixels).chunk(2, dim=1)[0])


@pytest.mark.parametrize("layout", ["original", "diffusers"])
def test_every_tensor_is_consumed_at_full_size(layout: str) -> None:
    if layout == "original":
        listed = published("svd_vae.txt")
        found = svd.find_original_vae({f"first_stage_model.{n}": t for n, t in listed.items()})
    else:
        found = svd.find_diffusers_vae(published("svd_vae_diffusers.txt"))
    assert found is not None
    with torch.device("meta"):
        wanted = TemporalAutoencoder(vae_config(found)).state_dict()
    assert shapes(found) == shapes(wanted)


def test_other_autoencoders_are_not_found(pair: Any) -> None:
    peer, ours = pair
    plain = {n: t for n, t in ours.state_dict().items() if ".time_" not in n and not n.endswith("mix_factor")}
    assert svd.find_original_vae(plain) is None and svd.find_diffusers_vae(ours.state_dict()) is None
    assert svd.find_original_vae(peer.state_dict()) is None


def vision(**options: Any) -> Any:
    transformers = pytest.importorskip("transformers")
    return transformers.CLIPVisionModelWithProjection(
        transformers.CLIPVisionConfig(hidden_act="gelu", **options)
    ).eval()


TINY_VISION: dict[str, Any] = {
    "hidden_size": 160, "intermediate_size": 96, "projection_dim": 24, "num_hidden_layers": 2,
    "num_attention_heads": 2, "image_size": 28, "patch_size": 14,
}  # fmt: skip


def test_the_image_encoders_names() -> None:
    peer = vision(**TINY_VISION)
    tensors = dict(peer.state_dict())
    prefix = "conditioner.embedders.0.open_clip.model.visual."
    found = image_encoder.find_open_clip({prefix + n: t for n, t in to_open_clip(tensors, 2).items()})
    same = image_encoder.find_transformers({"vision_model.embeddings.position_ids": torch.zeros(1), **tensors})
    assert found is not None and same is not None
    assert all(torch.equal(found[n], t) and torch.equal(same[n], t) for n, t in tensors.items())
    assert found.keys() == same.keys() == tensors.keys()
    ours = image_encoder.build(image_encoder.config(found))
    ours.load_state_dict(found)
    pixels = torch.randn(1, 3, 28, 28)
    with torch.no_grad():
        assert torch.equal(ours(pixels).image_embeds, peer(pixels).image_embeds)
    assert image_encoder.find_transformers(to_open_clip(tensors, 2)) is None
    with pytest.raises(DiffilmError, match="ViT-H/14"):
        image_encoder.config({n: t[:96] if t.ndim == 4 else t for n, t in found.items()})


def open_clip_transformer(patch: pytest.MonkeyPatch) -> Any:
    """open_clip's transformer.py, without the package's own imports and torchvision."""
    found = importlib.util.find_spec("open_clip")
    if found is None:
        pytest.skip("open_clip_torch is not installed")
    package = types.ModuleType("open_clip")
    package.__path__ = list(found.submodule_search_locations or ())
    misc = types.ModuleType("torchvision.ops.misc")
    misc.FrozenBatchNorm2d = torch.nn.BatchNorm2d  # type: ignore[attr-defined]
    for name, module in (("open_clip", package), ("torchvision.ops.misc", misc)):
        patch.setitem(sys.modules, name, module)
    for name in ("torchvision", "torchvision.ops"):
        patch.setitem(sys.modules, name, types.ModuleType(name))
    return importlib.import_module("open_clip.transformer")


def test_the_image_encoder_is_open_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    transformer = open_clip_transformer(monkeypatch)
    torch.manual_seed(0)
    visual = transformer.VisionTransformer(28, 14, 160, 2, 2, 0.6, output_dim=24).eval()
    found = image_encoder.find_open_clip({f"visual.{n}": t for n, t in visual.state_dict().items()})
    assert found is not None
    ours = image_encoder.build(image_encoder.config(found))
    ours.load_state_dict(found)
    pixels = torch.randn(2, 3, 28, 28)
    with torch.no_grad():
        assert far(ours(pixels).image_embeds, visual(pixels)) <= 1e-5


def test_the_full_size_image_encoder() -> None:
    with torch.device("meta"):
        tensors = vision(
            hidden_size=1280, intermediate_size=5120, projection_dim=1024, num_hidden_layers=32,
            num_attention_heads=16, image_size=224, patch_size=14,
        ).state_dict()  # fmt: skip
    found = image_encoder.find_open_clip({f"visual.{n}": t for n, t in to_open_clip(dict(tensors), 32).items()})
    assert found is not None
    built = image_encoder.build(image_encoder.config(found), device="meta")
    assert shapes(found) == shapes(built.state_dict()) == shapes(tensors)
    assert sum(t.numel() for t in found.values()) == ENCODER_PARAMETERS
