"""Proves that an autoencoder loads from every published layout, equals diffusers' there, and leaves no tensor over."""

from __future__ import annotations

import pytest
import torch

from diffilm_core.checkpoints import inspect, load_vae
from diffilm_core.errors import DiffilmError
from diffilm_core.models import AutoencoderConfig, AutoencoderKL

from .test_autoencoder import to_diffusers

OLD = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
TINY = AutoencoderConfig(ch=32, ch_mult=(1, 2, 2), num_res_blocks=1)
SD = {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2}


def peer_of(**shape):
    diffusers = pytest.importorskip("diffusers")
    levels = len(shape["block_out_channels"])
    return diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        latent_channels=4,
        **shape,
    ).eval()


def ldm_names(peer, config):
    """The peer's tensors as LDM keeps them, by the names that the network has."""
    with torch.device("meta"):
        wanted = AutoencoderKL(config).state_dict()
    theirs = peer.state_dict()
    return {
        name: theirs[to_diffusers(name, len(config.ch_mult))].reshape(shaped.shape) for name, shaped in wanted.items()
    }


def old_names(tensors):
    renamed = {}
    for name, tensor in tensors.items():
        for new, old in OLD.items():
            name = name.replace(new, old)
        renamed[name] = tensor
    return renamed


def in_layout(peer, config, layout):
    ldm = ldm_names(peer, config)
    stage = {f"first_stage_model.{name}": tensor for name, tensor in ldm.items()}
    rubbish = {"loss.logvar": torch.zeros(()), "loss.discriminator.main.0.weight": torch.zeros(4, 3, 4, 4)}
    return {
        "ldm": stage | {"alphas_cumprod": torch.zeros(4), "model_ema.decay": torch.zeros(())},
        "wrapped": {f"module.{name}": tensor for name, tensor in stage.items()},
        "plain": ldm,
        "lightning": ldm | rubbish,
        "diffusers": peer.state_dict(),
        "before 0.17": old_names(peer.state_dict()),
    }[layout]


LAYOUTS = {
    "ldm": "ldm",
    "wrapped": "ldm",
    "plain": "plain",
    "lightning": "lightning",
    "diffusers": "diffusers",
    "before 0.17": "diffusers",
}


def near(a, b):
    return float((a - b).abs().max() / b.abs().max())


@pytest.mark.parametrize("layout", LAYOUTS)
@torch.no_grad()
def test_every_layout_equals_diffusers(layout):
    torch.manual_seed(0)
    peer = peer_of(block_out_channels=(32, 64, 64), layers_per_block=1)
    tensors = in_layout(peer, TINY, layout)
    vae = load_vae(tensors)
    assert (vae.system, vae.layout) == ("sd1", LAYOUTS[layout])
    for batch, size in ((1, (24, 40)), (2, (16, 12))):
        pixels = torch.rand(batch, 3, *size) * 2 - 1
        theirs = peer.encode(pixels).latent_dist
        mean, logvar = vae.moments(pixels)
        assert near(mean, theirs.mean) < 1e-5 and near(logvar, theirs.logvar) < 1e-5
        latents = torch.randn(batch, 4, 5, 7)
        assert near(vae.decode(latents), peer.decode(latents / 0.18215).sample) < 1e-5


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_tensor_is_consumed_at_full_size(layout):
    with torch.device("meta"):
        peer = peer_of(**SD)
        tensors = in_layout(peer, AutoencoderConfig(), layout)
    info = inspect(tensors)
    assert [(p.role, p.layout, p.parameters) for p in info.parts] == [("vae", LAYOUTS[layout], 83_653_863)]
    assert info.missing == info.unexpected == []
    assert info.config["vae"] == AutoencoderConfig().to_dict()


def test_the_networks_of_a_trainer_and_its_bookkeeping_are_left(tmp_path):
    torch.manual_seed(0)
    tensors = in_layout(peer_of(block_out_channels=(32, 64), layers_per_block=1), TINY_TWO, "lightning")
    path = tmp_path / "autoencoder.pth"
    torch.save({"epoch": 3, "state_dict": tensors, "optimizer_states": [{"state": {}}], "lr_schedulers": []}, path)
    vae = load_vae(path)
    assert set(vae.state_dict()) == {name for name in tensors if not name.startswith("loss.")}


TINY_TWO = AutoencoderConfig(ch=32, ch_mult=(1, 2), num_res_blocks=1)


def test_one_that_lacks_a_tensor_is_refused_by_its_name():
    tensors = in_layout(peer_of(block_out_channels=(32, 64), layers_per_block=1), TINY_TWO, "plain")
    del tensors["quant_conv.bias"]
    with pytest.raises(DiffilmError, match=r"missing quant_conv\.bias"):
        load_vae(tensors)
