"""Proves that a curation can be stopped and goes on, names broken files, and decides again without measuring."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from diffilm_core.cli.main import main
from diffilm_core.errors import Cancelled, DiffilmError
from diffilm_core.frames import from_tensor, write
from diffilm_core.training import curation
from diffilm_core.training.curation import Settings, Thresholds, curate, decide, kept_shots, metadata_of, workers
from tests.core.test_curation import filmed

PLAIN = Settings(text=False)


def save(frames: list[np.ndarray], path: Path, fps: float = 24) -> Path:
    return write(from_tensor(torch.from_numpy(np.stack(frames)).float().div(255), fps), path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pan, a still, a film of both, what is no video, a caption, something hidden."""
    out = tmp_path / "clips"
    (out / "more").mkdir(parents=True)
    pan = filmed(np.arange(20)[:, None] * np.array([2, 1]))
    other = [255 - frame[::-1] for frame in filmed(np.arange(20)[:, None] * np.array([-2, 1]))]
    still = [np.roll(pan[0], 60, 1)] * 20
    save(pan, out / "pan.mp4")
    save(still, out / "more" / "still.mkv")
    save(other + still, out / "film.mp4")
    (out / "none.mp4").write_text("not found")
    (out / "pan.txt").write_text("a wall that passes\n")
    (out / ".hidden.mp4").write_text("")
    return out


def table(dataset: Path) -> list[dict]:
    rows = pq.read_table(dataset / "shots.parquet").to_pylist()
    return sorted(rows, key=lambda row: (row["file"], row["shot"]))


def test_shots_fall_or_stay_and_the_table_and_page_say_why(folder: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "set"
    found = curate(folder, dataset, settings=PLAIN)
    rows = table(dataset)
    assert [(row["file"], row["first"], row["end"], row["dropped"]) for row in rows] == [
        ("film.mp4", 0, 20, []),
        ("film.mp4", 20, 40, ["still"]),
        ("more/still.mkv", 0, 20, ["still"]),
        ("pan.mp4", 0, 20, []),
    ]
    assert (found.shots, found.kept, found.files, dict(found.fell)) == (4, 2, 4, {"still": 2})
    assert [(name, kind) for name, kind, _ in found.broken] == [("none.mp4", "not video")]
    assert set(found.missing) == {"text", "aesthetic", "match"}
    assert rows[3]["caption"] == "a wall that passes" and rows[0]["caption"] is None
    assert rows[3]["motion"] == pytest.approx(np.hypot(2, 1) / 256 * 24 * 100, rel=0.1)
    assert rows[3]["frames"] == 20 and rows[3]["thumb"][:3] == b"\xff\xd8\xff" and len(rows[3]["hashes"]) == 7
    assert [(shot["file"], shot["end"]) for shot in kept_shots(dataset, ["file", "end"])] == [
        (row["file"], row["end"]) for row in rows if not row["dropped"]
    ]
    assert metadata_of(dataset)["folder"] == str(folder.resolve())
    page = (dataset / "report.html").read_text()
    assert page.count("<svg") == 8 and page.count("data:image/jpeg;base64,") == 4
    for words in (
        "2 of 4 shots stay",
        "none.mp4",
        "not video",
        "nothing moves",
        "Not measured: text",
        "more/still.mkv",
    ):
        assert words in page
    assert "<script" not in page and "http" not in page


@pytest.mark.slow
def test_two_workers_find_what_one_does(folder: Path, tmp_path: Path) -> None:
    curate(folder, tmp_path / "one", settings=PLAIN)
    curate(folder, tmp_path / "two", settings=PLAIN, workers=2)
    assert table(tmp_path / "one") == table(tmp_path / "two")


def test_a_stopped_run_goes_on_where_it_was(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = tmp_path / "set"

    def stop(stage: str, done: int, total: int, message: str) -> None:
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        curate(folder, dataset, settings=PLAIN, progress=stop)
    assert sorted(path.name for path in dataset.iterdir()) == ["files.jsonl"]
    with (dataset / "files.jsonl").open("ab") as file:
        file.write(b'{"file": "pan.mp4", "sta')
    seen: list[str] = []
    measure = workers.measure
    monkeypatch.setattr(workers, "measure", lambda path, settings: seen.append(path.name) or measure(path, settings))
    curate(folder, dataset, settings=PLAIN)
    assert sorted(seen) == ["pan.mp4", "still.mkv"]
    curate(folder, tmp_path / "at once", settings=PLAIN)
    assert table(dataset) == table(tmp_path / "at once")
    seen.clear()
    save(filmed(np.zeros((20, 2))), folder / "pan.mp4")
    found = curate(folder, dataset, settings=PLAIN)
    assert seen == ["pan.mp4"] and found.shots == 4 and found.fell["still"] == 3


def test_other_thresholds_measure_nothing_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = tmp_path / "set"
    curate(folder, dataset, settings=PLAIN)
    monkeypatch.setattr(workers, "measure", None)
    found = decide(dataset, Thresholds(min_motion=None, max_static=None, min_frames=30))
    assert dict(found.fell) == {"short": 4}
    assert main(["curate", "-o", str(dataset), "--report", "--set", "min_frames=none"]) == 0
    assert len(list(kept_shots(dataset))) == 2
    assert metadata_of(dataset)["thresholds"]["min_frames"] is None


def test_copies_fall_and_the_best_stays(folder: Path, tmp_path: Path) -> None:
    pan = filmed(np.arange(20)[:, None] * np.array([2, 1]))
    save([frame[::2, ::2] for frame in pan], folder / "a_copy.mkv")
    save([(frame * 0.9).astype(np.uint8) for frame in pan[:18]], folder / "b_copy.webm")
    curate(folder, tmp_path / "set", settings=PLAIN, thresholds=Thresholds(min_side=None, min_sharpness=None))
    fell = {row["file"]: (row["dropped"], row["duplicate_of"]) for row in table(tmp_path / "set") if row["dropped"]}
    assert fell["a_copy.mkv"] == fell["b_copy.webm"] == (["duplicate"], "pan.mp4#0")
    assert "pan.mp4" not in fell


def test_a_strange_file_is_named_and_the_others_go_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = workers.measure

    def strange(path: Path, settings: Settings) -> list[curation.Row]:
        if path.name == "film.mp4":
            raise ZeroDivisionError("strange")
        return measure(path, settings)

    monkeypatch.setattr(workers, "measure", strange)
    found = curate(folder, tmp_path / "set", settings=PLAIN)
    assert ("film.mp4", "not measured", "ZeroDivisionError: strange") in found.broken and found.kept == 1


class Deadly(str):
    """A name that ends the process which it is sent to."""

    def __reduce__(self):
        return os._exit, (1,)


@pytest.mark.slow
def test_a_file_that_ends_its_process_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    for name in "abcdef":
        (tmp_path / name).write_text("no video")
    names = ["a", "b", Deadly("c"), "d", "e", "f"]
    found = {line["file"]: line["reason"] for line in workers.all_measured(tmp_path, names, PLAIN, 2)}
    assert set(found) == set("abcdef") and "died" in found["c"]
    assert all("cannot be opened" in reason for name, reason in found.items() if name != "c")


def test_wrong_folders_and_data_sets_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DiffilmError, match="no such folder"):
        curate(tmp_path / "none", tmp_path / "set")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DiffilmError, match="holds no files"):
        curate(tmp_path / "empty", tmp_path / "set")
    with pytest.raises(DiffilmError, match="nothing was measured"):
        decide(tmp_path / "set")
    with pytest.raises(DiffilmError, match="diffilm curate"):
        list(kept_shots(tmp_path / "set"))
    curate(folder, tmp_path / "set", settings=PLAIN)
    with pytest.raises(DiffilmError, match="measured with settings"):
        curate(folder, tmp_path / "set", settings=Settings(text=False, aesthetic="head.pth"))
    (tmp_path / "set" / "files.jsonl").write_text(json.dumps({"title": "of something else"}) + "\n")
    with pytest.raises(DiffilmError, match="no work file"):
        decide(tmp_path / "set")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["FOLDER", "-o", "SET", "--report"], "one of them"),
        (["-o", "SET"], "one of them"),
        (["FOLDER", "-o", "SET", "--set", "max_tex=1"], "max_text"),
        (["FOLDER", "-o", "SET", "--aesthetic", "head.pth"], "--clip"),
        (["FOLDER", "-o", "SET", "--thresholds", "none.toml"], "none.toml"),
    ],
)
def test_wrong_arguments_are_named_in_a_line(
    arguments: list[str], words: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [{"FOLDER": str(folder), "SET": str(tmp_path / "set")}.get(each, each) for each in arguments]
    assert main(["curate", *given]) == 2
    said = capsys.readouterr().err.strip()
    assert words in said.splitlines()[-1] and "Traceback" not in said
    assert not (tmp_path / "set").exists()
