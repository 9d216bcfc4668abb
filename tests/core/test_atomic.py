"""Proves that files appear whole or not at all, under any name, and that what killed runs left is cleared."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from diffilm_core.atomic import STALE_SECONDS, remove_stale, written_whole
from diffilm_core.errors import DiffilmError

NAMES = ["a.mp4", "take [1]*.mp4", "x" * 251 + ".mp4", "狐" * 83 + ".mp4", "a.b.gif", "none"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_appears_whole_under_any_name_that_the_system_takes(tmp_path: Path, name: str) -> None:
    with written_whole(tmp_path / name) as temporary:
        temporary.write_text("half")
        assert temporary.name.endswith(Path(name).suffix) and not (tmp_path / name).exists()
        temporary.write_text("whole")
    assert (tmp_path / name).read_text() == "whole" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "a.mp4").write_text("old")
    with pytest.raises(error), written_whole(tmp_path / "a.mp4") as temporary:
        temporary.write_text("half")
        raise error
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_the_file_is_as_readable_as_any_other(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with written_whole(tmp_path / "a") as temporary:
            temporary.chmod(0o600)
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that not even root writes to")
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    for path in (Path("/proc/a.mp4"), tmp_path / "none" / "a.mp4", tmp_path / ("x" * 300)):
        with pytest.raises(DiffilmError, match="cannot write") as caught, written_whole(path):
            pass
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_killed_run_left_of_a_file_is_cleared_after_an_hour(tmp_path: Path, name: str) -> None:
    runs = [written_whole(tmp_path / each) for each in (name, name, "b.mp4")]  # never left, as a killed run never does
    old, new, other = (run.__enter__() for run in runs)
    for path in (old, other):
        os.utime(path, (time.time() - STALE_SECONDS - 9,) * 2)
    remove_stale(tmp_path, Path(name).stem)
    assert set(tmp_path.iterdir()) == {new, other}
    remove_stale(tmp_path)
    assert list(tmp_path.iterdir()) == [new]
