"""Proves that a finished movie, from its file or its folder, is exported whole: frames, sound, chapters, record."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from diffilm_core.cli.export import CODECS, WEB
from diffilm_core.cli.main import main
from diffilm_core.errors import DiffilmError
from diffilm_core.export.movie import export, open_movie
from diffilm_core.frames import Audio, concat_files, frame_hashes, from_tensor, read, read_metadata, write
from diffilm_core.frames.chapters import read_chapters
from diffilm_core.frames.formats import CODECS as TABLE
from diffilm_core.frames.formats import codec_names
from diffilm_core.movie.pieces import plan_pieces
from diffilm_core.movie.record import read_record
from diffilm_core.movie.store import ShotStore
from diffilm_core.story import Shot, Storyboard

FPS = Fraction(24)
TEXTS = ("A fox slept.", "It was night & cold.", "The owl flew.")


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    """film.mp4 with sound, and film.diffilm beside it, as `diffilm movie` leaves them: three shots, a dissolve."""
    shots = tuple(
        Shot(n, text.lower(), text=text, seed=n, duration=0.5, transition=kind)
        for n, (text, kind) in enumerate(zip(TEXTS, ("", "dissolve", ""), strict=True))
    )
    board = Storyboard(shots, title="Night")
    pieces = plan_pieces(["k0", "k1", "k2"], [12, 12, 12], ["", "dissolve", ""], 4)
    store = ShotStore(tmp_path / "film.diffilm")
    files = []
    for n, piece in enumerate(pieces):
        colours = torch.full((piece.frames, 32, 48, 3), 0.2) + 0.15 * n
        colours[:, :, :24, n % 3] = 0.8
        files.append(store.put_segment(piece.key, lambda path, c=colours: write(from_tensor(c, FPS), path)))
    record = {
        "diffilm": "0", "fps": "24", "pieces": [vars(piece) for piece in pieces], "stages": {}, "transition": "1/6",
        "output": {"codec": "h264", "bits": 8, "crf": 18},
    }  # fmt: skip
    made = [{"prompt": shot.prompt, "seed": shot.seed, "model": "m"} for shot in shots]
    store.put_manifest({**record, **board.to_dict(), "out": "film.mp4", "made": made})
    comment = {**record, "shots": made, "storyboard": board.to_dict()}
    sound = Audio(0.5 * torch.sin(torch.arange(48000 * 2) * 0.05)[None], 48000)
    return concat_files(files, tmp_path / "film.mp4", metadata={"title": "Night", "comment": comment}, audio=sound)


@pytest.mark.parametrize("name", ["film.mp4", "film.diffilm"])
@pytest.mark.parametrize("suffix", [".srt", ".vtt", ".otio", ".edl", ".fcpxml"])
def test_texts_are_the_same_from_file_and_folder(movie: Path, name: str, suffix: str) -> None:
    path = export(movie.with_name(name), movie.with_name(f"out{suffix}"))
    text = path.read_text(encoding="utf-8")
    other = export(movie, movie.with_name(f"other{suffix}")).read_text(encoding="utf-8")
    assert text == other and ("owl flew" in text.lower())
    if suffix == ".srt":
        assert text.count("-->") == 3 and "00:00:00,417 -->" in text  # the cut: the middle of frames 8 to 12


@pytest.mark.parametrize(
    ("name", "codec"),
    [("o.mov", ""), ("o.mkv", ""), ("o.webm", "av1"), ("o.gif", ""), ("o.webp", "webp-lossless"), ("o.apng", ""),
     ("frames/%03d.png", ""), ("o.mp4", "hevc")],
)  # fmt: skip
@pytest.mark.parametrize("source", ["film.mp4", "film.diffilm"])
def test_a_movie_in_another_format_keeps_all(movie: Path, source: str, name: str, codec: str) -> None:
    """Frames within what the codec costs, rate, record, and, where the format has them, sound and chapters."""
    path = export(movie.with_name(source), movie.parent / name, codec=codec)
    got, was = read(path), read(movie)
    assert (got.frames, got.width, got.height) == (was.frames, 48, 32) and abs(got.duration - was.duration) < 0.1
    assert float((got.collect() - was.collect()).abs().mean()) * 255 < 2.5
    assert read_record(path) == read_record(movie) and read_metadata(path)["title"] == "Night"
    video = path.suffix in (".mov", ".mkv", ".webm", ".mp4")
    assert (got.audio is not None) == video
    if video:
        assert abs(float(got.audio.collect().duration - was.duration)) < 0.1
        assert [each.title for each in read_chapters(path)] == [f"Shot {n}: {t}" for n, t in enumerate(TEXTS, 1)]
        assert float(read_chapters(path)[1].start) == pytest.approx(10 / 24, abs=2e-3)


def test_copied_packets_are_the_same_frames(movie: Path) -> None:
    for suffix in (".mkv", ".mov"):
        path = export(movie, movie.with_name(f"copy{suffix}"), codec="copy")
        assert frame_hashes(read(path)) == frame_hashes(read(movie)) and read_record(path) == read_record(movie)
        assert read(path).audio is not None and len(read_chapters(path)) == 3


def test_the_command(movie: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = movie.with_name("out.edl")
    assert main(["export", str(movie), "-o", str(out)]) == 0 and capsys.readouterr().out.strip() == str(out)
    music = movie.with_name("music.mp4")
    loud = Audio(0.2 * torch.sin(torch.arange(8000) * 0.3)[None], 8000)
    write(from_tensor(torch.zeros(2, 16, 16, 3), 2), music, audio=loud)
    mixed = movie.with_name("mixed.mkv")
    asked = ["--music", str(music), "--fade", "0.2", "--codec", "h264", "--crf", "30"]
    assert main(["export", str(movie), "-o", str(mixed), *asked]) == 0
    sound = read(mixed).audio.collect().samples
    assert sound.shape[1] == round(read(mixed).duration * 48000) and not torch.equal(sound[0], sound[0] * 0)
    assert set(CODECS) == set(codec_names()) and set(WEB) == {name for name in CODECS if TABLE[name].web}


@pytest.mark.parametrize(
    ("out", "options", "words"),
    [
        ("a.avi", [], "got suffix '.avi'"),
        ("a.mp4", ["--codec", "vp9"], "a .mp4 holds h264, hevc, av1"),
        ("a.mp4", ["--bits", "12"], "12 bits for a.mp4: h264 is written with 8 or 10"),
        ("a.gif", ["--codec", "copy"], "packets are copied to"),
        ("a.gif", ["--music", "film.mp4"], "a .gif has no sound"),
        ("film.mp4", [], "is the movie itself"),
        ("no/a.srt", [], "there is no folder"),
    ],
)
def test_wrong_wishes_are_told_first(
    movie: Path, out: str, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in movie.parent.iterdir())
    assert main(["export", str(movie), "-o", str(movie.with_name("x").parent / out), *options]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert sorted(path.name for path in movie.parent.iterdir()) == before


def test_what_has_no_record_or_no_parts_is_told(movie: Path) -> None:
    plain = write(from_tensor(torch.rand(4, 16, 16, 3), 8), movie.with_name("plain.mp4"))
    with pytest.raises(DiffilmError, match="carries no record of its shots"):
        export(plain, movie.with_name("a.srt"))
    assert frame_hashes(read(export(plain, movie.with_name("a.mkv"), codec="copy"))) == frame_hashes(read(plain))
    folder = movie.with_name("film.diffilm")
    next((folder / "shots").glob("*.mp4")).unlink()
    with pytest.raises(DiffilmError, match=r"1 of the movie's \d parts are missing"):
        open_movie(folder)
    (folder / "manifest.json").write_text(json.dumps({"version": 1}))
    with pytest.raises(DiffilmError, match=r"manifest\.json cannot be read"):
        open_movie(folder)
