"""Proves that colours come back through every format, that ten rounds do not fade them, that the tags are right."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

import av
import pytest
import torch

from diffilm_core.frames import from_tensor, read, write
from diffilm_core.frames.colour import (
    _double_height,
    _double_width,
    _halve_height,
    _halve_width,
    from_linear,
    to_linear,
)
from diffilm_core.frames.formats import CODECS, FORMATS, available
from tests.colour_chart import chart, delta_e2000, difference, to_lab

ALL = [
    (suffix, codec, bits) for suffix, form in FORMATS.items() for codec in form.codecs for bits in CODECS[codec].pixels
]
FIRST = [each for n, each in enumerate(ALL) if each[1:] not in [other[1:] for other in ALL[:n]]]
"""Each codec and depth in the first container that has it."""

# L1 a1 b1 L2 a2 b2 dE: the pairs of Sharma, Wu and Dalal (2005), table 1, that are hard to get right.
PAIRS = """
50 2.6772 -79.7751 50 0 -82.7485 2.0425
50 3.1571 -77.2803 50 0 -82.7485 2.8615
50 2.8361 -74.0200 50 0 -82.7485 3.4412
50 -1.3802 -84.2814 50 0 -82.7485 1.0000
50 -1.1848 -84.8006 50 0 -82.7485 1.0000
50 -0.9009 -85.5211 50 0 -82.7485 1.0000
50 0 0 50 -1 2 2.3669
50 -1 2 50 0 0 2.3669
50 2.4900 -0.0010 50 -2.4900 0.0009 7.1792
50 2.4900 -0.0010 50 -2.4900 0.0011 7.2195
50 -0.0010 2.4900 50 0.0009 -2.4900 4.8045
50 -0.0010 2.4900 50 0.0011 -2.4900 4.7461
50 2.5 0 50 0 -2.5 4.3065
50 2.5 0 73 25 -18 27.1492
50 2.5 0 61 -5 29 22.8977
50 2.5 0 56 -27 -3 31.9030
50 2.5 0 58 24 15 19.4535
50 2.5 0 50 3.1736 0.5854 1.0000
50 2.5 0 50 1.8634 0.5757 1.0000
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
"""


def name_in(folder: Path, suffix: str, stem: str = "a") -> Path:
    return folder / (f"{stem}/%04d{suffix}" if FORMATS[suffix].kind == "frames" else f"{stem}{suffix}")


@lru_cache
def small() -> torch.Tensor:
    return chart(2, 768, 512)


def limit(codec: str, bits: int) -> float:
    return 0.5 if bits > 8 or CODECS[codec].lossless else 1.0


def test_the_measure_is_ciede2000() -> None:
    rows = torch.tensor([[float(value) for value in line.split()] for line in PAIRS.strip().splitlines()])
    rows = rows.double()
    assert torch.allclose(delta_e2000(rows[:, :3], rows[:, 3:6]), rows[:, 6], atol=1e-4)
    assert torch.allclose(delta_e2000(rows[:, 3:6], rows[:, :3]), rows[:, 6], atol=1e-4)
    white = to_lab(torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]))
    assert torch.allclose(white, torch.tensor([[100, 0, 0], [53.2408, 80.0925, 67.2032]]).double(), atol=0.02)


@pytest.mark.parametrize(("suffix", "codec", "bits"), FIRST)
def test_a_chart_comes_back_through_every_codec(tmp_path: Path, suffix: str, codec: str, bits: int) -> None:
    """Mean CIEDE2000, edges and all, under 1 for 8 bits, under 0.5 for more and for what is lossless."""
    back = read(write(from_tensor(small(), 8), name_in(tmp_path, suffix), codec=codec, bits=bits)).collect()
    assert float(difference(back, small()).mean()) < limit(codec, bits)
    if CODECS[codec].lossless:
        assert float((back - small()).abs().max()) <= 0.5 / (2 ** min(bits, 11) - 1) + 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "codec", "bits"), [each for each in ALL if each not in FIRST])
def test_a_chart_comes_back_through_every_container(tmp_path: Path, suffix: str, codec: str, bits: int) -> None:
    test_a_chart_comes_back_through_every_codec(tmp_path, suffix, codec, bits)


def drift(folder: Path, suffix: str, codec: str, bits: int, pixels: torch.Tensor) -> list[tuple[float, float]]:
    """Mean CIEDE2000 against the original, and the largest mean shift along L*, a*, b*, after 1 and 10 rounds."""
    clip, found = from_tensor(pixels, 8), []
    for number in range(10):
        clip = read(write(clip, name_in(folder, suffix, str(number)), codec=codec, bits=bits))
        if number in (0, 9):
            back = clip.collect()
            shift = (to_lab(back) - to_lab(pixels)).mean((0, 1, 2)).abs().max()
            found.append((float(difference(back, pixels).mean()), float(shift)))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "codec", "bits"), FIRST)
def test_ten_rounds_do_not_drift(tmp_path: Path, suffix: str, codec: str, bits: int) -> None:
    """The tenth copy is as near as a first one has to be but for a quarter, and no mean has moved by 0.3."""
    (_, _), (last, shift) = drift(tmp_path, suffix, codec, bits, small()[:1])
    assert last < limit(codec, bits) + 0.25 and shift < 0.3


def test_ten_rounds_of_the_usual_file_do_not_drift(tmp_path: Path) -> None:
    (first, _), (last, shift) = drift(tmp_path, ".mp4", "h264", 8, chart(1))
    assert last < first + 0.25 and shift < 0.3


@pytest.mark.parametrize(
    ("half", "double"), [(_halve_width, _double_width), (_halve_height, _double_height)], ids=["width", "height"]
)
def test_chroma_is_a_fixed_point_of_writing_and_reading(half, double) -> None:
    for height, width in ((2, 2), (4, 4), (4, 6), (2, 50), (64, 48)):
        chroma = torch.rand(2, height // 2, width // 2, generator=torch.Generator().manual_seed(0))
        assert float((half(double(chroma)) - chroma).abs().max()) < 2e-6


def test_linear_light_is_srgb_s() -> None:
    values = torch.linspace(0, 1, 1001)
    assert float((from_linear(to_linear(values)) - values).abs().max()) < 1e-6
    assert float(to_linear(torch.tensor(0.5))) == pytest.approx(0.214041, abs=1e-6)


TAGS = {"yuv": ("bt709", "tv", "bt709", "bt709"), "rgb": ("gbr", "pc", "bt709", "iec61966-2-1")}


@pytest.mark.parametrize(("suffix", "codec", "bits"), [each for each in FIRST if FORMATS[each[0]].kind == "video"])
def test_tags_are_read_by_others(tmp_path: Path, suffix: str, codec: str, bits: int) -> None:
    """Matrix, range, primaries, transfer: by PyAV of the container's header, by ffprobe where it is there."""
    path = write(from_tensor(chart(1, 96, 64), 8), tmp_path / f"a{suffix}", codec=codec, bits=bits)
    pixels = CODECS[codec].pixels[bits]
    wanted = TAGS["yuv" if pixels.startswith("yuv") else "rgb"]
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        codes = [context.colorspace, context.color_range, context.color_primaries, context.color_trc]
        assert [int(code) for code in codes] == ([1, 1, 1, 1] if wanted[0] == "bt709" else [0, 2, 1, 13])
    if shutil.which("ffprobe") is None:
        return
    asked = ["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(path)]
    stream = json.loads(subprocess.run(asked, capture_output=True, check=True, text=True).stdout)["streams"][0]
    seen = tuple(stream.get(key) for key in ("color_space", "color_range", "color_primaries", "color_transfer"))
    assert seen == wanted
    assert stream["pix_fmt"] == ("yuv444p12le" if codec == "prores4444" else pixels)  # its reader says so of any


def test_every_encoder_is_in_this_pyav() -> None:
    assert all(available(codec.encoder) for codec in CODECS.values())
