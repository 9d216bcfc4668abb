"""Proves that stages `image`, `finetune`, `autoencoder` and `text` learn from folders of pictures and clips what they
say and nothing else, give a file that the pack loads and samples, go on after a kill, and refuse what cannot be."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from PIL import Image

from diffilm_core.bundle import load_model, part, read_model
from diffilm_core.checkpoints import load_vae
from diffilm_core.checkpoints.files import write_tensors
from diffilm_core.errors import DiffilmError
from diffilm_core.frames import from_tensor, write
from diffilm_core.models import is_temporal
from diffilm_core.models.temporal.pseudo3d import TemporalConv
from diffilm_core.training import bases, finetune, image, table
from diffilm_core.training.base import BaseConfig, ObjectiveConfig
from diffilm_core.training.data.clips import Clips, index_clips
from diffilm_core.training.data.feed import CaptionedFeed
from diffilm_core.training.data.samples import ClipSamples
from diffilm_core.training.data.sources import pictures
from diffilm_core.training.diffusion import Captioned, Task, batch_loss
from diffilm_core.training.loop import Run
from diffilm_core.training.preview import preview
from diffilm_core.training.processes import Processes
from tests.lpips import lpips_weights
from tests.models import tiny_model

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
TRAIN = {
    "train.steps": 2, "train.batch": 2, "train.lr": 1e-2, "train.warmup": 1, "train.ema": 0.5,
    "train.precision": "fp32", "train.keep": 1, "data.workers": 0, "data.validation": 0.3, "data.licence": "CC0",
}  # fmt: skip
STAGES = ("image", "finetune", "autoencoder", "text")
AUDITED = (*STAGES, "video")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Captioned pictures, clips with and without captions, a table of GIFs, and a small model."""
    out = tmp_path_factory.mktemp("folders")
    for name in ("pictures", "clips", "gifs"):
        (out / name).mkdir()
    lines = []
    for number in range(6):
        frames = torch.rand(8, 40, 48, 3, generator=torch.Generator().manual_seed(number)).cumsum(0) / 8
        write(from_tensor(frames, 8), out / "clips" / f"{number}.mp4")
        Image.fromarray((frames[-1] * 255).to(torch.uint8).numpy()).save(out / "pictures" / f"{number}.png")
        (out / "pictures" / f"{number}.txt").write_text(f"a fox in the snow, number {number}")
        if number < 3:
            (out / "clips" / f"{number}.txt").write_text("a fox runs")
            write(from_tensor(frames[:, :32, :32], 8), out / "gifs" / f"{number}.gif")
            lines.append(f"{number}.gif\ta fox that runs")
    (out / "gifs" / "table.tsv").write_text("\n".join(lines))
    tiny_model(out / "tiny.safetensors")
    return out


def settings(stage: str, root: Path, **more: object) -> dict[str, object]:
    """What a small run sets in the stage's own configuration; `more` by "section__key"."""
    data: dict[str, object] = {
        "image": {"data.pictures": root / "pictures", "data.size": 32},
        "text": {"data.pictures": root / "pictures", "data.size": 32},
        "autoencoder": {"data.folder": root / "pictures", "data.size": 32},
        "finetune": {
            "data.clips": root / "clips", "data.width": 32, "data.height": 32, "data.frames": 4,
            "data.pictures": root / "pictures", "data.images": 0.5,
        },
        "video": {"data.clips": root / "clips", "data.width": 32, "data.height": 32, "data.frames": 4},
    }[stage]  # fmt: skip
    changes = {key.replace("__", "."): value for key, value in more.items()}
    return {"base.model": root / "tiny.safetensors", **TRAIN, **data, **changes}


def run(stage: str, root: Path, out: Path, **more: object) -> Path:
    file = ROOT / "configs" / ("motion.toml" if stage == "video" else f"{stage}.toml")
    return table.train(file, settings(stage, root, **more), out, CPU)


def changed(before: Path, after: Path) -> dict[str, set[str]]:
    """The tensors that are not the same, by part of the model; all have the same names."""
    one, other = read_model(before)[0], read_model(after)[0]
    assert one.keys() == other.keys()
    parts = {name: (part(one, name), part(other, name)) for name in ("unet", "vae", "text")}
    return {name: {key for key in a if not torch.equal(a[key], b[key])} for name, (a, b) in parts.items()}


def test_stage_image_trains_the_image_unet_alone_and_its_text_where_asked(root, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(TemporalConv, "forward", lambda *_: pytest.fail("a layer over time was run"))
    path = run("image", root, tmp_path / "a")
    found = changed(root / "tiny.safetensors", path)
    names = {name for name in part(read_model(path)[0], "unet")}
    spatial = {name for name in names if not is_temporal(name)}
    assert found["unet"] <= spatial and len(found["unet"]) > 0.9 * len(spatial)
    assert not found["vae"] and not found["text"]
    both = changed(root / "tiny.safetensors", run("image", root, tmp_path / "b", objective__text=True))
    assert both["unet"] <= spatial and len(both["text"]) > 10 and not both["vae"]


def test_stage_finetune_trains_all_of_the_unet(root: Path, tmp_path: Path) -> None:
    found = changed(root / "tiny.safetensors", run("finetune", root, tmp_path / "a"))
    temporal = {name for name in found["unet"] if is_temporal(name)}
    assert len(temporal) > 10 and len(found["unet"] - temporal) > 10 and not found["vae"] and not found["text"]
    gifs = {"data__table": root / "gifs" / "table.tsv", "data__clips": "", "data__pictures": "", "data__images": 0.0}
    path = run("finetune", root, tmp_path / "b", train__steps=1, data__validation=0.0, **gifs)
    assert load_model(path, device="cpu").config.about["finetune"]["clips"] == 3


def test_a_clips_caption_lies_beside_it_and_is_read_where_asked(root: Path) -> None:
    clips = Clips(index_clips(root / "clips"), frames=4, size=(32, 32), fps=(8, 8))
    for asked, expected in ((True, {"a fox runs", ""}), (False, {""})):
        assert {ClipSamples(clips, asked)[number]["caption"] for number in range(20)} == expected


def test_stage_text_trains_the_text_encoder_alone(root: Path, tmp_path: Path) -> None:
    found = changed(root / "tiny.safetensors", run("text", root, tmp_path))
    assert len(found["text"]) > 10 and not found["vae"] and not found["unet"]


def test_stage_autoencoder_keeps_the_latents_of_a_model_that_is_there(root: Path, tmp_path: Path) -> None:
    found = changed(root / "tiny.safetensors", run("autoencoder", root, tmp_path / "a"))
    assert len(found["vae"]) > 10 and not found["text"] and not found["unet"]
    assert all(name.startswith(("decoder.", "post_quant_conv.")) for name in found["vae"])
    own = {f"first_stage_model.{name}": t for name, t in part(read_model(root / "tiny.safetensors")[0], "vae").items()}
    file = write_tensors(tmp_path / "vae.safetensors", own, {})
    alone = load_vae(run("autoencoder", root, tmp_path / "b", base__vae=file, data__folder=root / "clips")).state_dict()
    moved = {name for name, tensor in alone.items() if not torch.equal(tensor, own[f"first_stage_model.{name}"])}
    assert len(moved) > 10 and all(name.startswith(("decoder.", "post_quant_conv.")) for name in moved)


def test_what_lpips_says_counts_where_its_weights_are_given(root: Path, tmp_path: Path) -> None:
    lpips_weights(tmp_path / "lpips.ckpt")
    plain = run("autoencoder", root, tmp_path / "a")
    judged = run("autoencoder", root, tmp_path / "b", loss__lpips=tmp_path / "lpips.ckpt")
    assert len(changed(plain, judged)["vae"]) > 10
    with pytest.raises(DiffilmError, match=r"none\.ckpt"):
        run("autoencoder", root, tmp_path / "c", loss__lpips="none.ckpt")
    assert not (tmp_path / "c" / "vae.safetensors").exists()


def test_what_a_discriminator_says_counts_where_it_is_asked_for_and_is_not_in_the_result(root, tmp_path) -> None:
    plain = run("autoencoder", root, tmp_path / "a", train__steps=3)
    judged = run("autoencoder", root, tmp_path / "b", train__steps=3, loss__adversarial=0.5)
    assert len(changed(plain, judged)["vae"]) > 10
    kept = torch.load(tmp_path / "b" / "vae.ckpt", weights_only=True)
    assert kept["modules"]["adversary"]["calls"] == 3


@pytest.mark.parametrize("stage", STAGES)
def test_a_result_is_sampled_and_a_killed_run_ends_as_an_undisturbed_one(
    stage: str, root: Path, tmp_path: Path, monkeypatch
) -> None:
    whole = run(stage, root, tmp_path / "whole", train__steps=3)
    advance = Run.advance

    def killed(self, loss_of):
        if self.step == 1:
            raise KeyboardInterrupt
        made = advance(self, loss_of)
        self.save()
        return made

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Run, "advance", killed)
        run(stage, root, tmp_path / "parts", train__steps=3)
    parts = run(stage, root, tmp_path / "parts", train__steps=3)
    one, other = read_model(whole)[0], read_model(parts)[0]
    assert all(torch.equal(one[name], other[name]) for name in one)
    model = load_model(whole, device="cpu")
    said = model.config.about[stage]
    assert said["steps"] == 3 and said["training"]["data"]["licence"] == "CC0"
    shown = preview(
        model.unet, model.vae, model.schedule, model.prediction, model.text.encode(["a fox"]), size=(32, 32), frames=2,
        fps=8.0,
    )  # fmt: skip
    assert shown.shape == (1, 2, 3, 32, 32) and float(shown.float().std()) > 1


def test_a_new_model_grows_from_nothing_stage_by_stage(root: Path, tmp_path: Path) -> None:
    text = (ROOT / "configs" / "shipped.toml").read_text()
    for large, small in (("ch = 32", "ch = 16"), ("[3, 4, 4]", "[1, 2, 2]")):
        text = text.replace(large, small)
    (tmp_path / "new.toml").write_text(text)
    steps = {"train__steps": 1, "data__size": 64}
    first = run("autoencoder", root, tmp_path / "vae", base__model=tmp_path / "new.toml", **steps)
    vae = load_model(first, device="cpu").vae
    latents = vae.encode(torch.rand(4, 3, 64, 64) * 2 - 1)
    assert 0.2 < float(latents.std()) < 5 and vae.config.scale_factor != 0.18215
    second = run("text", root, tmp_path / "text", base__model=first, **steps)
    third = run("image", root, tmp_path / "image", base__model=second, objective__text=True, **steps)
    assert set(load_model(third, device="cpu").config.about) == {"autoencoder", "text", "image"}
    assert not changed(first, second)["unet"] and not changed(second, third)["vae"]


def test_shares_of_a_batch_are_the_batch_and_captions_count_unless_dropped(root: Path) -> None:
    base = bases.open_base(BaseConfig(str(root / "tiny.safetensors")), ObjectiveConfig(), CPU, "image")
    items, shapes = pictures(root / "pictures"), image.PicturesConfig("", size=32).shapes(16)
    whole, *halves = (
        CaptionedFeed(items, shapes, 4, processes=p) for p in (Processes(), Processes(0, 2), Processes(1, 2))
    )

    def loss(feed: CaptionedFeed, dropout: float, text: bool = False) -> float:
        batch = feed(1)
        task = Task("image", "", feed, None, {}, (32, 32), dropout=dropout, text=text, time=False)
        network = Captioned(base) if text else base.unet
        with torch.no_grad():
            return float(batch_loss(base, network, batch, batch["numbers"], task))

    for dropout in (0.0, 0.5, 1.0):
        assert abs(loss(whole, dropout) - sum(loss(half, dropout) for half in halves) / 2) < 1e-5
        assert abs(loss(whole, dropout) - loss(whole, dropout, text=True)) < 1e-5
    assert len({round(loss(whole, dropout), 6) for dropout in (0.0, 0.5, 1.0)}) == 3, "captions count for nothing"


def test_pictures_come_between_clips_at_their_share() -> None:
    class Counted:
        def __init__(self, name: str) -> None:
            self.name = name

        def __call__(self, number: int) -> dict[str, object]:
            return {"from": (self.name, number), "numbers": None}

        def numbers(self, number: int) -> range:
            return range(2 * number, 2 * number + 2)

    feed = finetune.Joint(Counted("clips"), Counted("pictures"), 0.3, (4.0, 8.0), seed=0)
    batches = [feed(number) for number in range(100)]
    for name, count in (("pictures", 30), ("clips", 70)):
        assert [b["from"][1] for b in batches if b["from"][0] == name] == list(range(count))
    assert [b["numbers"] for b in batches] == [range(2 * n, 2 * n + 2) for n in range(100)]
    rates = torch.stack([b["fps"] for b in batches if "fps" in b])
    assert rates.shape == (30, 2) and 4 <= float(rates.min()) < 5 < 7 < float(rates.max()) <= 8


def spoil(kind: str, stage: str, root: Path, tmp_path: Path, monkeypatch) -> tuple[dict[str, object], str]:
    """The settings that cannot be, and what is said of them."""
    folder = {"autoencoder": "data__folder", "finetune": "data__clips", "video": "data__clips"}.get(
        stage, "data__pictures"
    )
    if kind == "unknown key":
        return {"data__clisp": "x"}, "unknown key 'clisp'"
    if kind == "kind of value":
        return {"train__steps": "many"}, "steps = 'many': expected a whole number"
    if kind == "missing folder":
        return {folder: tmp_path / "none"}, "no such folder"
    if kind == "no captions":
        (tmp_path / "bare").mkdir()
        shutil.copy(root / "pictures" / "0.png", tmp_path / "bare")
        return {"data__pictures": tmp_path / "bare"}, "have no caption, the first is 0.png"
    if kind == "short clips":
        return {"data__frames": 99}, "shot of 99 frames"
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**6, 10**6 - 10**5, 10**5))
    return {}, "are free: free some"


SPOILT = [
    *((kind, stage) for kind in ("unknown key", "kind of value", "missing folder", "disk") for stage in AUDITED),
    *(("no captions", stage) for stage in ("image", "finetune", "text")),
    *(("short clips", stage) for stage in ("finetune", "video")),
]


@pytest.mark.parametrize(("kind", "stage"), SPOILT)
def test_what_cannot_be_ends_before_the_first_step(kind, stage, root, tmp_path, monkeypatch) -> None:
    more, words = spoil(kind, stage, root, tmp_path, monkeypatch)
    monkeypatch.setattr(Run, "advance", lambda *_: pytest.fail("a step was made"))
    with pytest.raises(DiffilmError, match=words):
        run(stage, root, tmp_path / "run", **more)


@pytest.mark.parametrize("stage", AUDITED)
def test_a_loss_that_is_not_finite_leaves_the_last_good_checkpoint(stage: str, root: Path, tmp_path: Path) -> None:
    good = run(stage, root, tmp_path)
    state, result = (tmp_path / f"{good.stem}.ckpt").read_bytes(), good.read_bytes()
    with pytest.raises(DiffilmError, match=r"loss is (nan|inf).*last good state"):
        run(stage, root, tmp_path, train__steps=6, train__lr=1e30)
    assert (tmp_path / f"{good.stem}.ckpt").read_bytes() == state and good.read_bytes() == result


def test_settings_that_contradict_each_other_are_named(root: Path, tmp_path: Path) -> None:
    for stage, more, words in (
        ("finetune", {"data__images": 0.0}, "images 0 with pictures"),
        ("finetune", {"data__clips": ""}, "neither data.clips nor data.table"),
        ("finetune", {"data__width": 40}, "multiples of 16"),
        ("text", {"train__batch": 1}, "told apart within a batch"),
        ("autoencoder", {"data__size": 30}, "multiples of 8"),
        ("autoencoder", {"train__sharding": "fsdp"}, "use ddp"),
        ("image", {"base__motion": "a.ckpt"}, "leave them out"),
        ("image", {"train__warmup": 0}, "warmup 0"),
        ("image", {"data__validation": 1.0}, "add up to below 1"),
    ):
        with pytest.raises(DiffilmError, match=words):
            run(stage, root, tmp_path, **more)
