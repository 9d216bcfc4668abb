"""Proves that shots in every codec are joined by packets in each container that holds them, with sound and chapters."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch

from diffilm_core.errors import DiffilmError
from diffilm_core.frames import Audio, concat_files, frame_hashes, from_tensor, read, write
from diffilm_core.frames.chapters import Chapter, read_chapters
from diffilm_core.frames.formats import CODECS, FORMATS, encoding

PAIRS = [(suffix, codec) for suffix, form in FORMATS.items() if form.kind == "video" for codec in form.codecs]


def clip(frames: int, seed: int, fps: object = 24) -> object:
    coarse = torch.rand(1, 3, frames, 4, 6, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(coarse, (frames, 32, 48), mode="trilinear")[0].permute(1, 2, 3, 0)
    return from_tensor(smooth, fps)


@pytest.mark.parametrize(("suffix", "codec"), PAIRS)
def test_parts_of_every_codec_are_joined(tmp_path: Path, suffix: str, codec: str) -> None:
    """Clips of 1, 2 and 7 frames at 23.976: every frame and its time is there, the sound is, the chapters are."""
    fps = Fraction(24000, 1001)
    part = encoding(Path(f"a{suffix}"), codec).segment_suffix()
    parts = [write(clip(count, n, fps), tmp_path / f"{n}{part}", codec=codec) for n, count in enumerate((7, 1, 2))]
    chapters = [Chapter(Fraction(0), 7 / fps, "one"), Chapter(7 / fps, 10 / fps, "zwei é")]
    sound = Audio(torch.rand(2, 48000) - 0.5, 48000)
    film = concat_files(
        parts, tmp_path / f"film{suffix}", audio=sound, chapters=chapters, metadata={"title": "t", "comment": {"a": 1}}
    )
    got = read(film)
    assert (got.frames, got.fps) == (10, fps) and got.audio is not None
    assert abs(float(got.audio.collect().duration - got.duration)) < 0.07
    assert frame_hashes(got) == [digest for each in parts for digest in frame_hashes(read(each))]
    found = read_chapters(film)
    assert [each.title for each in found] == ["one", "zwei é"]
    assert [float(each.start) for each in found] == pytest.approx([0, float(7 / fps)], abs=2e-3)


def test_a_codec_that_the_container_lacks_is_refused(tmp_path: Path) -> None:
    part = write(clip(3, 0), tmp_path / "a.mp4")
    with pytest.raises(DiffilmError, match=r"the parts are h264, which a \.webm does not hold"):
        concat_files([part], tmp_path / "film.webm")
    with pytest.raises(DiffilmError, match=r"expected one of \.mkv, \.mov, \.mp4, \.webm"):
        concat_files([part], tmp_path / "film.gif")


def test_every_codec_of_a_film_has_a_part() -> None:
    for suffix, codec in PAIRS:
        assert CODECS[codec].name in FORMATS[encoding(Path(f"a{suffix}"), codec).segment_suffix()].codecs
