"""Proves that a movie that is killed at random moments and run again has the frames of an undisturbed one, with no
broken file under a final name and no finished part made twice; and that a full disk and damage cost only what they hit.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from diffilm_core.errors import DiffilmError
from diffilm_core.frames import frame_hashes, read
from diffilm_core.movie import ShotStore, make_movie, read_record
from diffilm_core.movie.store import KEY_LENGTH
from tests.models import tiny_model

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL") or not hasattr(os, "fork"), reason="needs SIGKILL and fork")
@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_at_random_moments(model: Path, tmp_path: Path, kills: int) -> None:
    command = [sys.executable, "-m", "tests.core.kill_movie", str(model), str(tmp_path), str(kills), "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    counted = re.match(r"(\d+) kills of (\d+) movies, (\d+) with a saved step", lines[-1])
    assert len(lines) == 1 and counted is not None, "\n".join(lines)
    assert int(counted[1]) >= kills
    assert kills < 20 or int(counted[3]) > 0  # some died inside a shot


class Full:
    """A disk that takes so many bytes more: a limit on the size of a file, which the kernel answers as a full disk."""

    def __init__(self, size: int) -> None:
        import resource

        self.resource, self.size = resource, size

    def __enter__(self) -> None:
        self.before = self.resource.getrlimit(self.resource.RLIMIT_FSIZE)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        self.resource.setrlimit(self.resource.RLIMIT_FSIZE, (self.size, self.before[1]))

    def __exit__(self, *_: object) -> None:
        self.resource.setrlimit(self.resource.RLIMIT_FSIZE, self.before)


PLAIN: dict[str, Any] = {"steps": 1, "device": "cpu", "frames": 2, "interpolator": "blend", "upscaler": "bicubic"}
STORY = "A fox sleeps in the snow. A bear walks by the river."


def parts(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs a limit on the size of files")
def test_a_full_disk_is_named_and_finished_work_is_kept(model: Path, tmp_path: Path) -> None:
    large: dict[str, Any] = {**PLAIN, "frames": 8, "size": (64, 64), "crf": 0, "max_shots": 2}
    plain = make_movie(STORY, tmp_path / "plain.mp4", model=model, **large)
    made = {p.parent.name: p.stat().st_size for p in (tmp_path / "plain.diffilm").glob("*/*") if p.suffix != ".json"}
    manifest, movie = (tmp_path / "plain.diffilm" / "manifest.json").stat().st_size, plain.stat().st_size
    sizes = [1000, made["latents"] - 1, made["shots"] - 100, movie - 100]
    assert sizes[0] < manifest < sizes[1] < sizes[2] - 1000 < sizes[3] - 2000
    out = tmp_path / "m.mp4"
    for size, what in zip(sizes, ("manifest", "latents", "shots", "m.mp4"), strict=True):
        with Full(size), pytest.raises(DiffilmError, match="expected a writable folder with room") as caught:
            make_movie(STORY, out, model=model, **large)
        assert "\n" not in str(caught.value) and what in str(caught.value)
        before = parts(tmp_path / "m.diffilm")
        assert not out.exists() and not [name for name in before if name.startswith(".")]
    assert len([name for name in before if name.endswith(".mp4")]) == 2
    make_movie(STORY, out, model=model, **large)
    after = parts(tmp_path / "m.diffilm")
    assert all(after[name] == kept for name, kept in before.items() if name != "manifest.json")
    assert frame_hashes(read(out)) == frame_hashes(read(plain))


def test_room_is_looked_at_before_the_work(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = 1000
    monkeypatch.setattr("shutil.disk_usage", lambda where: SimpleNamespace(free=free))
    monkeypatch.setattr("diffilm_core.sampling.sample_clip", lambda *_, **__: pytest.fail("the slow part began"))
    with pytest.raises(DiffilmError, match=r"takes about [\d.]+ kB in .*, where 1.0 kB are free") as caught:
        make_movie(STORY, tmp_path / "m.mp4", model=model, **PLAIN)
    assert "\n" not in str(caught.value)
    free = 10**9
    with pytest.raises(pytest.fail.Exception, match="slow part"):
        make_movie(STORY, tmp_path / "m.mp4", model=model, **PLAIN)


def test_an_unwritable_folder_is_named(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_movie(STORY, tmp_path / "m.mp4", model=model, **PLAIN)
    before = parts(tmp_path)

    def refuse(folder: Path) -> None:
        if folder.name == "shots":
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("diffilm_core.movie.store.check_writable", refuse)
    with pytest.raises(DiffilmError, match=r"cannot make the movie's folder .* \(Permission denied\)"):
        make_movie(STORY, tmp_path / "m.mp4", model=model, **PLAIN)
    assert parts(tmp_path) == before


def test_damage_costs_what_it_hit(model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    out = make_movie(STORY, tmp_path / "m.mp4", model=model, **PLAIN)
    wanted, folder = frame_hashes(read(out)), tmp_path / "m.diffilm"
    before = parts(folder)
    segment = sorted((folder / "shots").glob("*.mp4"))[0]
    segment.write_bytes(segment.read_bytes()[:-9])
    (folder / "manifest.json").write_text('{"version": 1, "shots": [')
    assert frame_hashes(read(make_movie(STORY, out, model=model, **PLAIN))) == wanted
    named = [message for message in caplog.messages if "is damaged and is made again" in message]
    assert {Path(message.split(" is damaged")[0]).name for message in named} == {segment.name, "manifest.json"}
    after = parts(folder)
    assert {name for name in before if after[name] != before[name]} == {
        segment.name, segment.with_suffix(".json").name, "manifest.json",
    }  # fmt: skip
    assert after[segment.name][0] == before[segment.name][0]  # made again, byte for byte


def test_damaged_latents_cost_their_shot_alone(model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They are needed where the shot's file is gone; the other shot is neither sampled nor written again."""
    out = make_movie(STORY, tmp_path / "m.mp4", model=model, **PLAIN)
    wanted, folder, record = frame_hashes(read(out)), tmp_path / "m.diffilm", read_record(out)
    store, before = ShotStore(folder), parts(folder)
    latents = store.latents_path(record.shots[1]["latents"])
    whole = latents.read_bytes()
    latents.write_bytes(whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:])
    store.segment_path(record.pieces[1].key).unlink()
    assert frame_hashes(read(make_movie(STORY, out, model=model, **PLAIN))) == wanted
    named = [message for message in caplog.messages if "is damaged and is made again" in message]
    assert len(named) == 1 and str(latents) in named[0]
    assert latents.read_bytes()[-64:] == whole[-64:]  # behind the header, whose entries come in any order
    kept = {name for name, part in parts(folder).items() if before.get(name) == part}
    first = record.pieces[0].key[:KEY_LENGTH]
    assert {f"{first}.mp4", f"{first}.json", store.latents_path(record.shots[0]["latents"]).name} <= kept


def test_a_folder_that_is_lost_in_the_middle_is_named(model: Path, tmp_path: Path) -> None:
    """A file stands where the shots' folder was when the second shot is begun: no right to write, for root as well."""
    shots, away = tmp_path / "m.diffilm" / "shots", tmp_path / "m.diffilm" / "away"

    def lose(stage: str, done: int, total: int, _: str) -> None:
        if stage == "render" and done == total // 2 and shots.is_dir() and len(list(shots.glob("*.json"))) == 1:
            shots.rename(away)
            shots.touch()

    with pytest.raises(DiffilmError, match=r"shots.*expected a writable folder with room") as caught:
        make_movie(STORY, tmp_path / "m.mp4", model=model, progress=lose, **PLAIN)
    assert "\n" not in str(caught.value) and not (tmp_path / "m.mp4").exists()
    with pytest.raises(DiffilmError, match=r"cannot make the movie's folder .* \(File exists\)"):
        make_movie(STORY, tmp_path / "m.mp4", model=model, **PLAIN)
    shots.unlink()
    away.rename(shots)
    before = parts(tmp_path / "m.diffilm")
    out = make_movie(STORY, tmp_path / "m.mp4", model=model, **PLAIN)
    after = parts(tmp_path / "m.diffilm")
    assert len(before) == 5 and all(after[name] == kept for name, kept in before.items() if name != "manifest.json")
    assert read(out).frames == 8
