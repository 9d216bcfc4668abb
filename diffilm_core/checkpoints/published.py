"""The published models that Diffilm runs: where their files are, how big, under which licence, and where they go.

Sizes are the hub's, most to three digits; `diffilm fetch` asks the hub again. A SHA-256 is given where one was seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from ..errors import DiffilmError

GB = 10**9
MB = 10**6


@dataclass(frozen=True)
class Licence:
    """A licence by its name and the page that has its text."""

    name: str
    url: str


@dataclass(frozen=True)
class PublishedFile:
    """One file of a hub repository: `path` there, `folder` (in the models folder) and `name` here; size in bytes."""

    repository: str
    path: str
    role: str
    folder: str
    size: int
    name: str = ""
    sha256: str = ""

    @property
    def filename(self) -> str:
        """Its name here: the published one, but where two models would share it."""
        return self.name or self.path.rsplit("/", 1)[-1]

    @property
    def target(self) -> str:
        """Where it goes, from the models folder on."""
        return f"{self.folder}/{self.filename}"


@dataclass(frozen=True)
class PublishedModel:
    """What `diffilm fetch NAME` brings: files that belong together."""

    name: str
    title: str
    system: str
    licence: Licence
    files: tuple[PublishedFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)


NON_COMMERCIAL = Licence("CC-BY-NC-4.0", "https://creativecommons.org/licenses/by-nc/4.0/")
APACHE = Licence("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0")
OPENRAIL = Licence("CreativeML Open RAIL-M", "https://huggingface.co/spaces/CompVis/stable-diffusion-license")
STABILITY = Licence("Stability AI Community License", "https://stability.ai/license")
MIT = Licence("MIT", "https://opensource.org/license/mit")
UNSTATED = Licence("not stated with the weights", "https://huggingface.co/wangfuyun/AnimateLCM")
OPENAI = Licence("not stated with the weights (OpenAI's code: MIT)", "https://github.com/openai/CLIP/blob/main/LICENSE")

DAMO = "ali-vilab/modelscope-damo-text-to-video-synthesis"
GUOYWW = "guoyww/animatediff"
MOTION_FOLDER, MOTION_LORA_FOLDER = "animatediff_models", "animatediff_motion_lora"
OPEN_CLIP_SHA = "9a78ef8e8c73fd0df621682e7a8e8eb36c6916cb3c16b291a082ecd52ab79cc4"
CAMERA_MOVES = {
    "zoom-in": "ZoomIn", "zoom-out": "ZoomOut", "pan-left": "PanLeft", "pan-right": "PanRight", "tilt-up": "TiltUp",
    "tilt-down": "TiltDown", "rolling-clockwise": "RollingClockwise", "rolling-anticlockwise": "RollingAnticlockwise",
}  # fmt: skip
_VQGAN = PublishedFile(DAMO, "VQGAN_autoencoder.pth", "vae", "vae", 5_210 * MB)


def _zeroscope(name: str, label: str, folder: str, size: str, sha256: str) -> PublishedModel:
    repository = f"cerspense/zeroscope_v2_{label}"
    return PublishedModel(
        name,
        f"Zeroscope v2 {label}, {size}",
        "modelscope",
        NON_COMMERCIAL,
        (
            PublishedFile(
                repository, f"{folder}/text2video_pytorch_model.pth", "unet", "diffusion_models", 2_820 * MB,
                f"zeroscope_v2_{label}.pth", sha256,
            ),
            PublishedFile(
                repository, f"{folder}/open_clip_pytorch_model.bin", "text", "text_encoders", 1_970 * MB,
                f"zeroscope_v2_{label}_open_clip.bin",
            ),
            _VQGAN,
        ),
    )  # fmt: skip


def _motion(name: str, title: str, file: str, size: int, sha256: str = "") -> PublishedModel:
    files = (PublishedFile(GUOYWW, file, "motion", MOTION_FOLDER, size, sha256=sha256),)
    return PublishedModel(name, title, "animatediff", APACHE, files)


def _camera(name: str, move: str) -> PublishedModel:
    files = (PublishedFile(GUOYWW, f"v2_lora_{move}.ckpt", "lora", MOTION_LORA_FOLDER, 77_500_000),)
    title = f"camera motion for AnimateDiff v2: {name}"
    return PublishedModel(f"animatediff-lora-{name}", title, "animatediff", APACHE, files)


def _one(name: str, title: str, system: str, licence: Licence, file: PublishedFile) -> PublishedModel:
    return PublishedModel(name, title, system, licence, (file,))


def _svd(name: str, title: str, repository: str, file: str, sha256: str = "") -> PublishedModel:
    part = PublishedFile(f"stabilityai/{repository}", file, "unet", "checkpoints", 9_559_625_980, sha256=sha256)
    return _one(name, title, "svd", STABILITY, part)


_MODELS = (
    PublishedModel(
        "modelscope",
        "ModelScope text-to-video 1.7B, 16 frames of 256x256",
        "modelscope",
        NON_COMMERCIAL,
        (
            PublishedFile(
                DAMO, "text2video_pytorch_model.pth", "unet", "diffusion_models", 5_650 * MB,
                sha256="d9609d02717b799137a97244844ab6df0d1a071568a1d24dcb62d9050f3a24a3",
            ),
            PublishedFile(
                DAMO, "open_clip_pytorch_model.bin", "text", "text_encoders", 3_940 * MB, sha256=OPEN_CLIP_SHA
            ),
            _VQGAN,
        ),
    ),
    _zeroscope(
        "zeroscope-576w", "576w", "zs2_576w", "24 frames of 576x320",
        "e6040b6383685912fa5d3aeb1e84d6efe1d11f4de773c23f3f2a5e97c12ab6b7",
    ),
    _zeroscope("zeroscope-xl", "XL", "zs2_XL", "1024x576, for a second pass", ""),
    _motion(
        "animatediff-v1", "AnimateDiff v1 motion module for SD 1.5", "mm_sd_v15.ckpt", 1_670 * MB,
        "cf16ea656cb16124990c8e2c70a29c793f9841f3a2223073fac8bd89ebd9b69a",
    ),
    _motion(
        "animatediff-v2", "AnimateDiff v2 motion module for SD 1.5", "mm_sd_v15_v2.ckpt", 1_817_888_431,
        "69ed0f5fef82b110aca51bcab73b21104242bc65d6ab4b8b2a2a94d31cad1bf0",
    ),
    _motion(
        "animatediff-v3", "AnimateDiff v3 motion module for SD 1.5", "v3_sd15_mm.ckpt", 1_670 * MB,
        "2412711886f61091846f53204aabc38aa6e09356d62a9808abe4daa802168343",
    ),
    _one(
        "animatediff-v3-adapter", "AnimateDiff v3's domain adapter, a LoRA", "animatediff", APACHE,
        PublishedFile(
            GUOYWW, "v3_sd15_adapter.ckpt", "lora", "loras", 102 * MB,
            sha256="fd2d8e26480f6ab013c1e6af86fdf1dedbb1ed5baf850ccd5f365f39d6c3472c",
        ),
    ),
    *(_camera(name, move) for name, move in CAMERA_MOVES.items()),
    _one(
        "animatelcm", "AnimateLCM motion module for SD 1.5, 4 to 8 steps", "animatediff", UNSTATED,
        PublishedFile(
            "wangfuyun/AnimateLCM", "AnimateLCM_sd15_t2v.ckpt", "motion", MOTION_FOLDER, 1_810 * MB,
            sha256="b46c3de62e5696af72c4056e3cdcbea12fbc19581c0aad7b6f2b027851148f5f",
        ),
    ),
    _one(
        "animatelcm-lora", "AnimateLCM's LoRA for the SD 1.5 model", "animatediff", UNSTATED,
        PublishedFile("wangfuyun/AnimateLCM", "AnimateLCM_sd15_t2v_lora.safetensors", "lora", "loras", 135 * MB),
    ),
    _one(
        "animatediff-lightning", "AnimateDiff-Lightning motion module for SD 1.5, 4 steps", "animatediff", OPENRAIL,
        PublishedFile(
            "ByteDance/AnimateDiff-Lightning", "animatediff_lightning_4step_comfyui.safetensors", "motion",
            MOTION_FOLDER, 909 * MB,
        ),
    ),
    _svd("svd", "Stable Video Diffusion, 14 frames of 1024x576", "stable-video-diffusion-img2vid", "svd.safetensors"),
    _svd(
        "svd-xt", "Stable Video Diffusion XT, 25 frames of 1024x576", "stable-video-diffusion-img2vid-xt",
        "svd_xt.safetensors", "b2652c23d64a1da5f14d55011b9b6dce55f2e72e395719f1cd1f8a079b00a451",
    ),
    _one(
        "sd15", "Stable Diffusion 1.5, the image model to put motion on", "sd1", OPENRAIL,
        PublishedFile(
            "Comfy-Org/stable-diffusion-v1-5-archive", "v1-5-pruned-emaonly-fp16.safetensors", "unet", "checkpoints",
            2_130 * MB,
        ),
    ),
    _one(
        "sd-vae", "Stable Diffusion's autoencoder, fine-tuned (ft-mse)", "sd1", MIT,
        PublishedFile(
            "stabilityai/sd-vae-ft-mse-original", "vae-ft-mse-840000-ema-pruned.safetensors", "vae", "vae", 335 * MB
        ),
    ),
    _one(
        "openclip-h", "OpenCLIP ViT-H/14, the text encoder of ModelScope and SD 2.x", "sd2", MIT,
        PublishedFile(
            "laion/CLIP-ViT-H-14-laion2B-s32B-b79K", "open_clip_pytorch_model.bin", "text", "text_encoders",
            3_940 * MB, sha256=OPEN_CLIP_SHA,
        ),
    ),
    _one(
        "clip-l", "CLIP ViT-L/14, the text encoder of SD 1.x", "sd1", OPENAI,
        PublishedFile(
            "openai/clip-vit-large-patch14", "model.safetensors", "text", "text_encoders", 1_710 * MB,
            "clip-vit-large-patch14.safetensors",
        ),
    ),
    PublishedModel(
        "bert-base-cased",
        "BERT, the text encoder of Video Diffusion Models",
        "vdm",
        APACHE,
        tuple(
            PublishedFile("google-bert/bert-base-cased", path, "text", "text_encoders/bert-base-cased", size)
            for path, size in (
                ("config.json", 570), ("tokenizer.json", 436_000), ("tokenizer_config.json", 49),
                ("vocab.txt", 213_000), ("model.safetensors", 436 * MB),
            )
        ),
    ),
)  # fmt: skip

PUBLISHED: dict[str, PublishedModel] = {model.name: model for model in _MODELS}


def published(name: str) -> PublishedModel:
    """The model of that name. Raises DiffilmError where there is none."""
    if name in PUBLISHED:
        return PUBLISHED[name]
    near = get_close_matches(name.lower(), PUBLISHED, 3, 0.4)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    raise DiffilmError(f"no published model {name!r}; {meant}`diffilm fetch` lists them")


def size_text(size: int) -> str:
    """Bytes as people and the hub write them: 5.65 GB, 335 MB, 49 bytes."""
    for unit, label in ((GB, "GB"), (MB, "MB"), (1000, "kB")):
        if size >= unit:
            return f"{size / unit:.3g} {label}"
    return f"{size} bytes"


def models_with(filename: str) -> list[str]:
    """The names of the published models that have a file of this name."""
    return [name for name, model in PUBLISHED.items() if any(file.filename == filename for file in model.files)]


def where_to_get(names: Iterable[str], role: str | None = None) -> str:
    """One sentence for an empty list: the file, its size, licence and folder, and the command that brings it.

    names: of published models. role: only files of that role.
    """
    parts = []
    for model in map(published, names):
        for file in model.files:
            if role is None or file.role == role:
                parts.append(
                    f"{file.filename} ({size_text(file.size)}, {model.licence.name}, from {file.repository}) goes into "
                    f"models/{file.folder}: `diffilm fetch {model.name}`"
                )
    return "; ".join(parts)
