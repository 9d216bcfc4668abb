"""Proves that sets are measured as their files are: which frames, pairs and words, and which set is the generated one.

What cannot be measured is refused before anything is, or left out by name."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from PIL import Image

from diffilm_core.errors import DiffilmError
from diffilm_core.frames import from_tensor, read, write
from diffilm_core.metrics.captions import captions_of, read_prompts
from diffilm_core.metrics.clip import Clip
from diffilm_core.metrics.evaluate import METRICS, evaluate
from diffilm_core.metrics.frechet import frechet_distance, inception_score
from diffilm_core.metrics.i3d import clip_features, load_i3d
from diffilm_core.metrics.images import flicker, motion, psnr, ssim
from diffilm_core.metrics.options import Options
from diffilm_core.metrics.probe import labels
from diffilm_core.metrics.protocol import Protocol, class_words, read_protocol
from diffilm_core.metrics.sets import Cut, open_set, read_picture
from tests.core.metric_kit import clips, tiny_clip, tiny_i3d

ROOT = Path(__file__).resolve().parents[2]
QUICK = Options(rounds=3)


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights of this machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DIFFILM_WEIGHTS", raising=False)
    monkeypatch.delenv("COMFYUI_PATH", raising=False)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    tiny_i3d(folder / "i3d_torchscript.pt")
    return folder


def test_distribution_metrics_are_those_of_the_features(tmp_path: Path, weights: Path) -> None:
    made, real = clips(tmp_path / "made", 6, 1), clips(tmp_path / "real", 5, 2)
    report = evaluate(open_set(made), open_set(real), metrics=["fvd", "is-video"], folder=weights, options=QUICK)
    network = load_i3d(weights / "i3d_torchscript.pt")
    a, b = (
        torch.cat([clip_features(network, read(file).collect()[None]) for file in sorted(folder.glob("*.mkv"))])
        for folder in (made, real)
    )
    assert report["fvd"].spread.value == pytest.approx(frechet_distance(a, b), rel=1e-6)
    assert report["is-video"].spread.value == pytest.approx(inception_score(a, 1)[0], rel=1e-6)
    assert report["is-video"].real == pytest.approx(inception_score(b, 1)[0], rel=1e-6)
    assert report["fvd"].samples == 6 and report["fvd"].network == "i3d_torchscript.pt"
    assert "5 samples do not fill 400 dimensions" in report["fvd"].note


def test_one_sided_metrics_are_of_the_generated_set(tmp_path: Path, weights: Path) -> None:
    """Swapped, they would be those of the real one: one clip again and again scores 1, however varied the real ones."""
    same, varied = clips(tmp_path / "same", 4, 1, alike=True), clips(tmp_path / "varied", 4, 2, speed=0.2)
    names = ["is-video", "motion", "flicker"]
    report = evaluate(open_set(same), open_set(varied), metrics=names, folder=weights, options=QUICK)
    swapped = evaluate(open_set(varied), open_set(same), metrics=names, folder=weights, options=QUICK)
    assert report["is-video"].spread.value == pytest.approx(1, abs=1e-9)
    assert swapped["is-video"].spread.value > 1.5
    for name in names:
        assert report[name].spread.value == pytest.approx(swapped[name].real)
        assert swapped[name].spread.value == pytest.approx(report[name].real)
    assert swapped["motion"].spread.value > 2 * report["motion"].spread.value


def test_clipsim_joins_each_clip_with_its_own_words(tmp_path: Path) -> None:
    made, real = clips(tmp_path / "made", 3, 1, frames=2), clips(tmp_path / "real", 3, 2, frames=2)
    tiny_clip(tmp_path / "weights" / "clip-tiny")
    words = ["a fox in the snow", "an owl at night", "a boat on the sea"]
    (tmp_path / "words.txt").write_text("\n".join(words) + "\n")
    media = open_set(made, Cut(frames=2))
    found = captions_of(media, tmp_path / "words.txt")
    report = evaluate(
        media, open_set(real, Cut(frames=2)), metrics=["clipsim"], captions=found, folder=tmp_path / "weights"
    )
    clip = Clip(tmp_path / "weights" / "clip-tiny")
    wanted = [clip.similarity(media.load(at), text) for at, text in enumerate(words)]
    assert report["clipsim"].spread.value == pytest.approx(sum(wanted) / 3, abs=1e-6)
    assert report["clipsim"].real is None and report["clipsim"].network.startswith("clip-tiny (patches of 8")
    other = evaluate(media, metrics=["clipsim"], captions=words[::-1], folder=tmp_path / "weights")
    assert other["clipsim"].spread.value != report["clipsim"].spread.value


def test_pairs_are_by_name(tmp_path: Path) -> None:
    made, real = clips(tmp_path / "made", 3, 1), clips(tmp_path / "real", 4, 2)
    report = evaluate(open_set(made), open_set(real), metrics=["psnr", "ssim"])
    frames = [(read(made / f"{at:03d}.mkv").collect(), read(real / f"{at:03d}.mkv").collect()) for at in range(3)]
    assert report["psnr"].spread.value == pytest.approx(sum(psnr(*each) for each in frames) / 3)
    assert report["ssim"].spread.value == pytest.approx(sum(ssim(*each) for each in frames) / 3)
    with pytest.raises(DiffilmError, match=r"1 of 4 in .*real have no partner .* \(the first: 003\)"):
        evaluate(open_set(real), open_set(made), metrics=["psnr"])
    assert "psnr" not in [f.name for f in evaluate(open_set(real), open_set(made), options=QUICK).figures]
    with pytest.raises(DiffilmError, match=r"16 frames of 32x24, .* 16 frames of 16x16: pairs must be alike"):
        single = write(from_tensor(torch.zeros(16, 16, 16, 3), 8), tmp_path / "one.mkv")
        evaluate(open_set(made / "000.mkv"), open_set(single), metrics=["psnr"])


def test_a_single_clip_alone_and_with_its_pair(tmp_path: Path) -> None:
    file = clips(tmp_path / "made", 1, 1, frames=20) / "000.mkv"
    frames = read(file).collect()
    report = evaluate(open_set(file))
    assert [figure.name for figure in report.figures] == ["flicker", "motion"]
    assert report["motion"].spread.value == pytest.approx(motion(frames))
    assert report["flicker"].spread.value == pytest.approx(flicker(frames, frames))
    assert evaluate(open_set(file), open_set(file), metrics=["psnr"])["psnr"].spread.value == 100


def test_which_frames(tmp_path: Path) -> None:
    ramp = torch.arange(48).view(48, 1, 1, 1).expand(48, 8, 8, 3) / 255
    file = write(from_tensor(ramp, 24), tmp_path / "one" / "ramp.mkv") if (tmp_path / "one").mkdir() is None else None

    def taken(**cut: object) -> list[int]:
        return (open_set(file, Cut(**cut)).load(0)[:, 0, 0, 0] * 255).round().int().tolist()

    assert taken(frames=4) == [0, 1, 2, 3]
    assert taken(frames=4, fps=Fraction(8)) == [0, 3, 6, 9]
    assert taken(frames=4, start="middle") == [22, 23, 24, 25]
    assert taken(frames=3, fps=Fraction(8), start="middle") == [21, 24, 27]
    assert taken(frames=None, fps=Fraction(1)) == [0, 24]
    assert taken(frames=3, fps=Fraction(48)) == [0, 0, 1]
    with pytest.raises(DiffilmError, match=r"ramp.mkv has 16 frames at 8 a second, expected 20 of every clip"):
        evaluate(open_set(tmp_path / "one", Cut(frames=20, fps=Fraction(8))))


def test_the_middle_of_frames_is_scaled() -> None:
    wide = torch.zeros(1, 20, 60, 3)
    wide[:, :, 20:40] = 1
    from diffilm_core.metrics.sets import fitted

    assert fitted(wide, (10, 10)).shape == (1, 10, 10, 3)
    assert fitted(wide, (10, 10)).min() > 0.99
    assert fitted(wide, (30, 10)).mean() == pytest.approx(1 / 3, abs=0.02)


def test_kinds_of_folders(tmp_path: Path) -> None:
    frames = torch.rand(3, 8, 8, 3)
    write(from_tensor(frames, 8), tmp_path / "frames" / "a" / "frame_%03d.png") if (tmp_path / "frames" / "a").mkdir(
        parents=True
    ) is None else None
    found = open_set(tmp_path / "frames", Cut(frames=3))
    assert found.moving and found.names == ["a"] and found.load(0).shape == (3, 8, 8, 3)
    jpegs = tmp_path / "jpegs" / "b"
    jpegs.mkdir(parents=True)
    for at in range(12):
        Image.new("RGB", (8, 6), (at, 0, 0)).save(jpegs / f"{at}.jpg")
    assert (open_set(jpegs.parent, Cut(frames=12)).load(0)[:, 0, 0, 0] * 255).tolist()[-1] == pytest.approx(11, abs=2)
    pictures = open_set(jpegs)
    assert not pictures.moving and pictures.names[1:3] == ["1", "2"] and len(pictures.items) == 12
    assert torch.equal(pictures.load(3)[0], read_picture(jpegs / "3.jpg"))
    with pytest.raises(DiffilmError, match=r"jpegs.b holds pictures and|holds clips and .* pictures"):
        evaluate(found, pictures)
    with pytest.raises(DiffilmError, match="metric fvd needs clips"):
        evaluate(pictures, pictures, metrics=["fvd"])
    clips(jpegs, 1, 1)
    with pytest.raises(DiffilmError, match="1 videos and 12 pictures, expected one kind"):
        open_set(jpegs)
    with pytest.raises(DiffilmError, match="no such file or folder"):
        open_set(tmp_path / "none")
    (jpegs / "bad.png").write_bytes(b"no picture")
    with pytest.raises(DiffilmError, match="cannot be read"):
        read_picture(jpegs / "bad.png")


def test_what_cannot_be_measured(tmp_path: Path) -> None:
    made = open_set(clips(tmp_path / "made", 3, 1))
    with pytest.raises(DiffilmError, match="metric 'fid2': expected some of fvd, fid"):
        evaluate(made, metrics=["fid2"])
    with pytest.raises(DiffilmError, match="metric fvd needs a real set: give a second"):
        evaluate(made, metrics=["fvd"])
    with pytest.raises(DiffilmError, match="metric clipsim needs prompts: give --prompts"):
        evaluate(made, metrics=["clipsim"])
    with pytest.raises(DiffilmError, match="2 prompts for 3 items"):
        evaluate(made, captions=["a", "b"])
    with pytest.raises(DiffilmError, match=r"nothing is left to measure\. fvd: I3D of Kinetics-400 is not there"):
        evaluate(made, made, metrics=["fvd"])
    report = evaluate(made, made, captions=["a"] * 3, options=QUICK)
    assert set(report.left_out) == {"fvd", "fid", "is", "is-video", "clipsim", "lpips", "probe"}
    assert {figure.name for figure in report.figures} | set(report.left_out) == set(METRICS)
    said = report.left_out["fvd"]
    for words in (
        "i3d-kinetics-400.ckpt",
        "51 MB",
        "MIT",
        "scripts/fetch_metric_weights.py",
        "looked in .cache/metrics",
    ):
        assert words in said
    assert f"left out: fvd: {said}" in report.lines()


def test_weights_are_found_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffilm_core.metrics.weights import find, places

    folders = [tmp_path / name for name in ("given", "environment", "comfy/models/metrics", ".cache/metrics")]
    monkeypatch.setenv("DIFFILM_WEIGHTS", str(folders[1]))
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path / "comfy"))
    for folder in reversed(folders):
        folder.mkdir(parents=True)
        (folder / "alexnet.ckpt").touch()
        found = find("lpips", places(folders[0] if folders[0].is_dir() else None))
        assert found is not None and found.resolve().parent == folder
    with pytest.raises(DiffilmError, match="no such folder"):
        places(tmp_path / "none")


def test_prompts_in_every_form(tmp_path: Path) -> None:
    def file(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    wanted = [("video7", "a man  sings".replace("  ", " ")), ("video12", "a dog")]
    assert read_prompts(file("a.csv", "video_id,caption\nvideo7.mp4,a man  sings\nvideo12,a dog\n")) == wanted
    rows = [{"file": "x/video7.mp4", "text": "a man sings"}, {"file": "video12", "prompt": "a dog"}]
    assert read_prompts(file("a.jsonl", "\n".join(map(json.dumps, rows)))) == wanted
    sentences = [
        {"video_id": "video12", "caption": "a dog", "sen_id": 3},
        {"video_id": "video7", "caption": "a man sings", "sen_id": 2},
        {"video_id": "video1", "caption": "of training", "sen_id": 1},
    ]
    videos = [{"video_id": f"video{n}", "split": "test" if n != 1 else "train"} for n in (1, 7, 12)]
    assert read_prompts(file("a.json", json.dumps({"videos": videos, "sentences": sentences}))) == wanted
    assert read_prompts(file("a.txt", "a man sings\n\na dog\n")) == [("", "a man sings"), ("", "a dog")]
    for name, text in (("b.json", "[1]"), ("b.csv", "x,y\n1,2\n"), ("b.txt", "\n"), ("b.jsonl", "{")):
        with pytest.raises(DiffilmError, match=r"prompts .*b\..*: .*expected one prompt a line"):
            read_prompts(file(name, text))


def test_words_of_clips(tmp_path: Path) -> None:
    made = open_set(clips(tmp_path / "made", 3, 1, frames=1))
    assert captions_of(made) is None
    for at in range(2):
        (tmp_path / "made" / f"{at:03d}.txt").write_text(f"clip {at}")
    with pytest.raises(DiffilmError, match=r"2 of 3 have a .txt beside them, 002.mkv has none"):
        captions_of(made)
    (tmp_path / "made" / "002.txt").write_text("clip 2")
    assert captions_of(made) == ["clip 0", "clip 1", "clip 2"]
    (tmp_path / "words.csv").write_text("file,caption\n002,two\n000,zero\n001,one\n")
    assert captions_of(made, tmp_path / "words.csv") == ["zero", "one", "two"]
    (tmp_path / "words.csv").write_text("file,caption\n002,two\n")
    with pytest.raises(DiffilmError, match=r"none for 2 of 3 .*the first: 000"):
        captions_of(made, tmp_path / "words.csv")
    (tmp_path / "words.txt").write_text("one\ntwo\n")
    with pytest.raises(DiffilmError, match="2 for 3 items"):
        captions_of(made, tmp_path / "words.txt")


def test_labels_of_prompts() -> None:
    from diffilm_core.training.scenes import heldout_prompts

    for prompt, thing, place in heldout_prompts(200):
        assert labels(prompt) == (thing, place), prompt
    assert labels("A Kitten and a polar bear, in the deep snow.") == labels("a cat in the snow")
    assert labels("a cat") is None and labels("a gramophone in the snow") is None


def test_protocols(tmp_path: Path) -> None:
    for path in (ROOT / "configs" / "protocols").glob("*.toml"):
        protocol = read_protocol(path)
        assert protocol.sources and not set(protocol.metrics) - METRICS.keys() and protocol.cut.size == (256, 256)
    rows = [("v1", "a"), ("v1", "b"), ("v2", "c")]
    kinds = {"name": "n", "sources": (), "metrics": ("fvd",)}
    assert Protocol(**kinds).prompts(rows, None) == ["a", "b", "c"]
    assert Protocol(**kinds, choose="first").prompts(rows, None) == ["a", "c"]
    drawn = Protocol(**kinds, choose="random").prompts(rows, None)
    assert drawn in (["a", "c"], ["b", "c"]) and drawn == Protocol(**kinds, choose="random").prompts(rows, None)
    for name, count in (("ApplyEyeMakeup", 1), ("TaiChi", 3), ("YoYo", 2)):
        clips(tmp_path / "ucf" / name, count, 1, frames=1)
    classes = Protocol(**kinds, choose="classes", samples=9, template="{class}, filmed")
    found = classes.prompts([], open_set(tmp_path / "ucf"))
    assert [found.count(f"{words}, filmed") for words in ("apply eye makeup", "tai chi", "yo yo")] == [2, 4, 3]
    assert class_words("YOLODance2") == "YOLO dance 2"
    with pytest.raises(DiffilmError, match="takes its prompts from the classes"):
        classes.prompts([], None)
    file = tmp_path / "p.toml"
    for text, words in (
        ("name = 1\nnames = 2", "unknown key 'names'"), ("name = 'x'", "missing"), ("name = ", "cannot be read"),
        ("name='x'\nsources=[]\nmetrics=[]\nchoose='some'", "choose 'some'"),
        ("name='x'\nsources=[]\nmetrics=[]\nresize='best'", "resize 'best'"),
    ):  # fmt: skip
        file.write_text(text)
        with pytest.raises(DiffilmError, match=words):
            read_protocol(file)
