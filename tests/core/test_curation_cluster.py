"""Proves that two Ray workers measure what one process does, also where one of them is killed on the way."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
import torch

from diffilm_core.cli.main import main
from diffilm_core.errors import DiffilmError
from diffilm_core.frames import from_tensor, write
from diffilm_core.training.curation import Settings, curate
from diffilm_core.training.curation.cluster import measured_on_ray
from tests.core.test_curation import filmed

PLAIN = Settings(text=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pans, no two alike, and what is no video."""
    out = tmp_path_factory.mktemp("clips")
    for number in range(8):
        frames = filmed(np.arange(40)[:, None] * np.array([1 + number % 3, number - 4]))
        frames = [np.roll(frame, 40 * number, 1) for frame in frames]
        write(from_tensor(torch.from_numpy(np.stack(frames)).float().div(255), 24), out / f"{number}.mp4")
    (out / "none.mp4").write_text("not found")
    return out


def kill_a_busy_worker(killed: list[int], stop: threading.Event) -> None:
    """SIGKILL to the first worker that has a file in hand."""
    while not stop.is_set():
        for process in psutil.Process().children(recursive=True):
            try:
                busy = "ray::measured" in " ".join(process.cmdline())
            except psutil.Error:
                continue
            if busy:
                os.kill(process.pid, 9)
                killed.append(process.pid)
                return
        time.sleep(0.01)


@pytest.mark.slow
def test_workers_measure_what_one_process_does_even_if_one_is_killed(folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("RAY_worker_niceness", "0")  # 15 by default, which starves on a busy machine
    alone = curate(folder, tmp_path / "alone", settings=PLAIN)
    killed: list[int] = []
    stop = threading.Event()
    watcher = threading.Thread(target=kill_a_busy_worker, args=(killed, stop), daemon=True)
    watcher.start()
    together = curate(folder, tmp_path / "ray", settings=PLAIN, ray="local")
    stop.set()
    watcher.join(5)
    assert killed, "no worker was caught at work"

    def rows(dataset: str) -> list[dict]:
        found = pq.read_table(tmp_path / dataset / "shots.parquet").to_pylist()
        return sorted(found, key=lambda row: (row["file"], row["shot"]))

    assert rows("ray") == rows("alone") and len(rows("ray")) >= 8
    assert together.broken == alone.broken and [name for name, *_ in together.broken] == ["none.mp4"]
    assert (together.shots, together.kept, together.fell) == (alone.shots, alone.kept, alone.fell)


def test_a_cluster_that_is_not_there_is_named(folder: Path, tmp_path: Path, capsys) -> None:
    with pytest.raises(DiffilmError, match="no cluster is reached"):
        next(measured_on_ray(folder, ["0.mp4"], PLAIN, "127.0.0.1:1"))
    arguments = ["curate", str(folder), "-o", str(tmp_path / "set"), "--ray", "127.0.0.1:1"]
    assert main([*arguments, "--workers", "2"]) == 2
    assert "leave one of them out" in capsys.readouterr().err
