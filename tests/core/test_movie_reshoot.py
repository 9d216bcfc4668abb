"""Proves that a shot is made again from the movie file and the weights alone, to the same frames, and put in its place
with the other shots' packets copied."""

from __future__ import annotations

import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from diffilm_core.bundle import VideoModel, load_model
from diffilm_core.errors import DiffilmError
from diffilm_core.frames import concat_files, frame_hashes, from_tensor, read, write
from diffilm_core.movie import make_movie, read_record, reshoot
from diffilm_core.movie.cut import cut_pieces
from diffilm_core.movie.make import Options, prepare
from diffilm_core.movie.pieces import Piece
from diffilm_core.story import Shot, Storyboard
from tests.models import tiny_model

PLAIN: dict[str, Any] = {"steps": 2, "interpolator": "blend", "upscaler": "bicubic"}
BOARD = Storyboard(
    title="Night",
    style="ink",
    shots=(
        Shot(index=0, prompt="a fox", seed=1, duration=0.5),
        Shot(index=1, prompt="a bear", seed=2, duration=0.375),
        Shot(index=2, prompt="an owl", seed=3, duration=0.5, transition="dissolve"),
        Shot(index=3, prompt="a hare", seed=4, duration=0.25),
    ),
)
BODIES = ((0, 8), (8, 12), (14, 20), (20, 24))
"""Frames in the movie, at 16 a second; the dissolve takes 2 of the shots of 6 and 8."""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture(scope="module")
def model(path: Path) -> VideoModel:
    return load_model(path, device="cpu")


@pytest.fixture(scope="module")
def whole(model: VideoModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_movie(BOARD, tmp_path_factory.mktemp("movie") / "night.mp4", model=model, **PLAIN)


def hashes(path: Path) -> list[str]:
    return frame_hashes(read(path))


def test_the_movie_carries_what_made_it(whole: Path, model: VideoModel) -> None:
    record = read_record(whole)
    assert record.board == BOARD and record.fps == 16 and read(whole).frames == 24
    assert [(p.shot, p.frames, p.transition) for p in record.pieces] == [
        (0, 8, ""), (1, 4, ""), (2, 2, "dissolve"), (2, 6, ""), (3, 4, ""),
    ]  # fmt: skip
    for shot, about in zip(BOARD.shots, record.shots, strict=True):
        assert (about["prompt"], about["seed"], about["model"]) == (shot.prompt, shot.seed, model.fingerprint)
        assert about["steps"] == 2 and about["sampler"] == "dpmpp_2m" and len(about["latents"]) == 64


def test_a_shot_is_finished_with_the_batch_and_tiles_of_the_movie(model: VideoModel, tmp_path: Path) -> None:
    """Those to which memory brought it, which decide the pixels."""
    options = Options(steps=1, frames=2, interpolator="diffilm")
    story = "A fox sleeps in the snow. A bear walks by the river."
    production, out = prepare(story, tmp_path / "m.mp4", options, model=model)
    production.settings.between.batch, production.settings.between.tile = 1, 32
    made = production.make(out)
    again = reshoot(made, 2, model=model)
    assert read_record(again).shots == read_record(made).shots
    assert read_record(again).stages["interpolate"]["fit"] == {"batch": 1, "tile": 32}
    assert hashes(again) == hashes(made)


@pytest.mark.parametrize("shot", [1, 3])
def test_from_the_file_alone_the_same_frames(whole: Path, path: Path, tmp_path: Path, shot: int) -> None:
    """The folder is not there: the shot is sampled again, the others' packets come out of the file."""
    alone = tmp_path / "alone.mp4"
    shutil.copy(whole, alone)
    calls: list[tuple] = []
    out = reshoot(alone, shot, model=path, device="cpu", progress=lambda *call: calls.append(call))
    assert out == tmp_path / f"alone.shot-{shot}.mp4" and hashes(out) == hashes(whole)
    seeds = {message for stage, *_, message in calls if stage == "render"}
    assert len(seeds) == 4 and read_record(out) == read_record(whole)
    steps: dict[str, set[int]] = {}
    for stage, done, _, message in calls:
        if stage == "sample":
            steps.setdefault(message.split(":")[0], set()).add(done)
    assert [name for name, each in steps.items() if len(each) > 1] == [f"shot {shot} of 4"]
    kept = {p.name for p in (tmp_path / f"alone.shot-{shot}.diffilm" / "latents").iterdir()}
    assert kept == {f"{read_record(whole).shots[shot - 1]['latents'][:40]}.safetensors"}


def test_another_prompt_changes_its_shot_alone(whole: Path, model: VideoModel, tmp_path: Path) -> None:
    alone = tmp_path / "alone.mp4"
    shutil.copy(whole, alone)
    out = reshoot(alone, 1, tmp_path / "new.mp4", prompt="a red fox", seed=99, model=model)
    before, after = hashes(whole), hashes(out)
    low, high = BODIES[0]
    assert len(after) == len(before) and after[high:] == before[high:]
    assert not any(a == b for a, b in zip(after[low:high], before[low:high], strict=True))
    record = read_record(out)
    assert (record.board.shots[0].prompt, record.board.shots[0].seed) == ("a red fox", 99)
    assert record.board.shots[1:] == BOARD.shots[1:]
    expected = replace(BOARD, shots=(replace(BOARD.shots[0], prompt="a red fox", seed=99), *BOARD.shots[1:]))
    assert hashes(make_movie(expected, tmp_path / "direct.mp4", model=model, **PLAIN)) == after
    assert hashes(reshoot(out, 1, tmp_path / "back.mp4", prompt="a fox", seed=1, model=model)) == before


def test_a_transition_beside_the_shot_is_made_again(whole: Path, model: VideoModel, tmp_path: Path) -> None:
    alone = tmp_path / "alone.mp4"
    shutil.copy(whole, alone)
    out = reshoot(alone, 3, prompt="a snowy owl", model=model)
    before, after = hashes(whole), hashes(out)
    assert after[:12] == before[:12] and after[20:] == before[20:] and len(after) == 24
    assert not any(a == b for a, b in zip(after[12:20], before[12:20], strict=True))
    expected = replace(BOARD, shots=tuple(replace(s, prompt="a snowy owl") if s.index == 2 else s for s in BOARD.shots))
    assert hashes(make_movie(expected, tmp_path / "direct.mp4", model=model, **PLAIN)) == after


def test_in_the_movies_folder_nothing_else_is_touched(model: VideoModel, tmp_path: Path) -> None:
    movie = make_movie(BOARD, tmp_path / "m.mp4", model=model, **PLAIN)
    folder = tmp_path / "m.diffilm"
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in (folder / "shots").iterdir()}
    out = reshoot(movie, 4, seed=77, model=model)
    assert not (tmp_path / "m.shot-4.diffilm").exists() and hashes(out)[:20] == hashes(movie)[:20]
    after = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in (folder / "shots").iterdir()}
    assert len(after) == len(before) + 2 and all(after[name] == kept for name, kept in before.items())
    again = reshoot(movie, 4, tmp_path / "again.mp4", model=model)
    assert hashes(again) == hashes(movie)


def test_what_is_wrong_is_named(whole: Path, path: Path, model: VideoModel, tmp_path: Path, caplog: Any) -> None:
    other = load_model(tiny_model(tmp_path / "other.safetensors", seed=1), device="cpu")
    plain = write(from_tensor(torch.rand(4, 16, 16, 3), 8), tmp_path / "plain.mp4")
    frames = read(whole)
    again = write(frames, tmp_path / "again.mp4", metadata={"comment": read_comment(whole)})
    for arguments, message in (
        ((tmp_path / "none.mp4", 1), "no such file"),
        ((plain, 1), "no record of its shots"),
        ((whole, 0), "it has shots 1 to 4"),
        ((whole, 5), "it has shots 1 to 4"),
        ((again, 1), "cut or encoded again"),
        ((whole, 1, tmp_path / "out.gif"), "suffix"),
    ):
        with pytest.raises(DiffilmError) as caught:
            reshoot(*arguments, model=model)
        assert message in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(DiffilmError, match="the one that ships: give the model"):
        reshoot(whole, 1, tmp_path / "out.mp4")
    assert not list(tmp_path.glob("out*")) and not list(tmp_path.glob("*.diffilm"))
    changed = reshoot(whole, 1, tmp_path / "changed.mp4", model=other, folder=tmp_path / "parts")
    assert "its frames will differ" in caplog.text and hashes(changed)[8:] == hashes(whole)[8:]
    assert hashes(changed)[:8] != hashes(whole)[:8]


def read_comment(path: Path) -> str:
    from diffilm_core.frames import read_metadata

    return read_metadata(path)["comment"]


@pytest.mark.parametrize("fps", [8, Fraction(30000, 1001)])
def test_a_joined_file_is_cut_back_into_its_files(tmp_path: Path, fps: Any) -> None:
    lengths = [1, 12, 3, 40, 2]
    clips = [from_tensor(torch.rand(n, 16, 16, 3), fps) for n in lengths]
    files = [write(clip, tmp_path / f"{n}.mp4") for n, clip in enumerate(clips)]
    joined = concat_files(files, tmp_path / "joined.mp4")
    parts = [Piece(str(n), n, 0, length) for n, length in enumerate(lengths)]
    found: dict[str, Path] = {}

    def put(piece: Piece, write: Any) -> None:
        found[piece.key] = tmp_path / f"cut{piece.key}.mp4"
        write(found[piece.key])

    cut_pieces(joined, parts, lambda piece: piece.key != "2", put)
    assert sorted(found) == ["0", "1", "3", "4"]
    for key, part in found.items():
        assert hashes(part) == hashes(files[int(key)])
    back = concat_files([found.get(str(n), files[n]) for n in range(5)], tmp_path / "back.mp4")
    assert hashes(back) == hashes(joined) and read(back).fps == fps
    with pytest.raises(DiffilmError, match="cut or encoded again"):
        cut_pieces(joined, [replace(parts[0], frames=2), *parts[1:]], lambda piece: True, put)
    with pytest.raises(DiffilmError, match="cut or encoded again"):
        swapped = [parts[1], parts[0], *parts[2:]]
        cut_pieces(joined, [replace(piece, frames=piece.frames) for piece in swapped], lambda piece: True, put)
