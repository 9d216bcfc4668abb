"""The check of `inside.py` for the node that trains: a small network of the core's in the place of the host's MODEL."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bodykit import NODES, fails, run, work

# isort: split
# bodykit has made these importable
import folder_paths
import torch
from pack.diffilm_core import frames
from pack.diffilm_core.checkpoints import load_motion
from pack.diffilm_core.checkpoints.files import read_tensors
from pack.diffilm_core.models import UNet, UNetConfig
from pack.diffilm_core.sampling import NoiseSchedule
from pack.nodes import host


class Words:
    """A text encoder of 16 numbers a token."""

    def tokenize(self, text: str) -> str:
        return text

    def encode_from_tokens(self, tokens: str) -> torch.Tensor:
        return torch.full((1, 3, 16), float(len(tokens)) / 10)


class Vae:
    """Pixels to four channels at an eighth of their size, and back to flat frames."""

    latent_channels = 4

    def __init__(self) -> None:
        self.first_stage_model = torch.nn.Conv2d(1, 1, 1)
        torch.nn.init.ones_(self.first_stage_model.weight)
        torch.nn.init.zeros_(self.first_stage_model.bias)

    def spacial_compression_decode(self) -> int:
        return 8

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        small = torch.nn.functional.avg_pool2d(pixels.movedim(-1, 1), 8)
        return torch.cat([small, small[:, :1]], 1)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return z[:, :3].sigmoid().movedim(1, -1).repeat_interleave(8, 1).repeat_interleave(8, 2)


class Model(SimpleNamespace):
    """What the node asks of a MODEL; `patched`: what was put on it."""

    def is_clone(self, other: Any) -> bool:
        return other is self

    def clone(self) -> Model:
        return Model(**vars(self))

    def add_patches(self, patches: dict[str, Any]) -> None:
        self.patches = {**self.patches, **patches}

    def get_model_object(self, name: str) -> Any:
        assert name == "model_sampling"
        return NoiseSchedule.create()


def model() -> Model:
    torch.manual_seed(0)
    shape = UNetConfig(
        model_channels=32, channel_mult=(1, 2), num_res_blocks=1, transformer_depth=(1, 0), context_dim=16, head_dim=16,
        use_linear=True, temporal="pseudo3d",
    )  # fmt: skip
    latent = SimpleNamespace(process_in=lambda z: z * 2, process_out=lambda z: z / 2, latent_channels=4)
    network = torch.nn.Module()
    network.diffusion_model = UNet(shape).requires_grad_(False)
    network.latent_format, network.model_type = latent, SimpleNamespace(name="EPS")
    return Model(
        model=network, patches={}, object_patches={}, model_options={}, load_device=torch.device("cpu"),
        offload_device=torch.device("cpu"),
    )  # fmt: skip


def listed(**changes: Any) -> dict[str, Any]:
    inputs = {
        "model": model(), "clip": Words(), "vae": Vae(), "name": "tale", "steps": 3, "width": 32, "height": 32,
        "frames": 4, "min_fps": 4.0, "max_fps": 16.0, "batch": 1, "learning_rate": 1e-2, "seed": 0,
        "save_memory": False, "folder": "", "preview": "a fox", "source_fps": 8.0, **changes,
    }  # fmt: skip
    return {"videos": None, **{key: value if key == "videos" else [value] for key, value in inputs.items()}}


def moving(seed: int) -> torch.Tensor:
    clip = torch.rand(1, 48, 48, 3, generator=torch.Generator().manual_seed(seed)).repeat(12, 1, 1, 1) * 0.3
    for t in range(12):
        clip[t, 8 + seed : 20 + seed, t : t + 12] = 0.9
    return clip


def check_train_motion() -> None:
    """Trained on frames, stopped by Cancel and gone on with, applied; and what cannot be is said before."""
    models = work / "models/animatediff_models"
    before = {name: getattr(folder_paths, name) for name in ("get_folder_paths", "get_full_path")}
    folder_paths.get_folder_paths = lambda kind: [str(models)]
    folder_paths.get_full_path = lambda kind, name: str(models / name) if (models / name).is_file() else None
    folder_paths.get_input_directory = lambda: str(work / "input")
    node = NODES["DiffilmTrainMotion"]
    node.hidden = SimpleNamespace(unique_id=None)
    shown: list[tuple[int, bool]] = []
    original, check = host.Progress.show, host.check_cancel

    class Cancelled(Exception):
        pass

    def show(self: Any, done: int, preview: Any = None) -> None:
        shown.append((done, preview is not None and preview[1].size == (4 * 32, 32)))

    def cancel() -> None:
        if len(shown) == 1:
            raise Cancelled

    host.Progress.show = show
    try:
        clips = [moving(0), moving(1), moving(2)]
        name, path = run("DiffilmTrainMotion", **listed(videos=clips))
        assert shown == [(1, True), (2, False), (3, False)] and (models / name) == Path(path)
        shown.clear()
        host.check_cancel = cancel
        try:
            run("DiffilmTrainMotion", **listed(videos=clips, name="parts"))
        except Cancelled:
            host.check_cancel = check
        assert not list(models.glob("parts-*")) and [step for step, _ in shown] == [1]
        (parts, _) = run("DiffilmTrainMotion", **listed(videos=clips, name="parts"))
        assert [step for step, _ in shown] == [1, 3], "what was learnt until Cancel was lost"
        whole, pieces = (load_motion(models / each).state_dict() for each in (name, parts))
        assert whole.keys() == pieces.keys() and all(torch.equal(whole[key], pieces[key]) for key in whole)

        image = model()
        (moved,) = run("DiffilmApplyMotion", model=image, motion_model=name)
        kept = image.model.diffusion_model.temporal_parameters()
        assert moved.patches.keys() == {f"diffusion_model.{key}" for key in kept} and image.patches == {}
        assert any(not torch.equal(value[1][0].float(), kept[key[16:]]) for key, value in moved.patches.items())
        assert NODES["DiffilmApplyMotion"].validate_inputs(motion_model=None) is True
        fails("set them to 1", "DiffilmApplyMotion", model=image, motion_model=name, motion_scale=0.5)

        folder = work / "clips"
        folder.mkdir()
        frames.write(frames.from_tensor(clips[0], 8), folder / "a.mp4")
        for words, changes in (
            ("multiples of 16", {"videos": clips, "width": 40}), ("from one of the two", {}),
            ("from one of the two", {"videos": clips, "folder": str(folder)}), ("no such folder", {"folder": "none"}),
            ("name of a file", {"videos": clips, "name": "a/b"}), ("0 < min_fps", {"videos": clips, "min_fps": 20.0}),
            ("shot of 13 frames", {"videos": clips, "frames": 13}),
        ):  # fmt: skip
            fails(words, "DiffilmTrainMotion", **listed(**changes))
        assert "no such folder" in node.validate_inputs(name=["x"], folder=["none"])
        assert node.validate_inputs(name=["x"], folder=[str(folder)]) is True
        stamp = node.fingerprint_inputs(folder=[str(folder)])
        frames.write(frames.from_tensor(clips[1], 8), folder / "b.mp4")
        assert node.fingerprint_inputs(folder=[str(folder)]) != stamp
        about = json.loads(read_tensors(models / name)[1]["diffilm.motion"])
        assert about["clips"] == 2 and about["steps"] == 3
        wrong = model()
        wrong.model.diffusion_model = UNet(UNetConfig(model_channels=32, channel_mult=(1, 2), temporal="modelscope",
                                                      num_res_blocks=1, transformer_depth=(1, 0)))  # fmt: skip
        fails("another system", "DiffilmTrainMotion", **listed(videos=clips, model=wrong))
    finally:
        host.Progress.show, host.check_cancel = original, check
        for key, value in before.items():
            setattr(folder_paths, key, value)
