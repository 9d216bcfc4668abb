"""Proves that what `formats` marks as for the web plays in Chromium, to its end, in the right colours.

Needs node, Chromium (CHROMIUM names it) and the npm package playwright-core (NODE_PATH names the node_modules that has
it); skipped without.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from diffilm_core.frames import from_tensor, write
from diffilm_core.frames.formats import CODECS, FORMATS
from tests.colour_chart import PATCHES

WEB = [
    (suffix, codec, bits)
    for suffix, form in FORMATS.items()
    for codec in form.codecs
    if CODECS[codec].web
    for bits in CODECS[codec].pixels
]
COLOURS = torch.tensor([PATCHES[:8], PATCHES[-8:]])
"""Of the first and the second shot: skin, sky, foliage; the primaries and their mixtures."""
WIDTH, HEIGHT, FRAMES, FPS = 192, 128, 48, 24

pytestmark = pytest.mark.slow


def clip() -> torch.Tensor:
    """`(t, h, w, 3)`: two shots of a second, each of 4x2 flat patches."""
    shots = COLOURS.reshape(2, 2, 4, 3).repeat_interleave(HEIGHT // 2, 1).repeat_interleave(WIDTH // 4, 2)
    return shots.repeat_interleave(FRAMES // 2, 0)


def name_of(suffix: str, codec: str, bits: int) -> str:
    return f"{codec}-{bits}{suffix}"


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    browser = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    if shutil.which("node") is None or not Path(browser).exists():
        pytest.skip("needs node and Chromium (CHROMIUM names the browser)")
    if subprocess.run(["node", "-e", "require('playwright-core')"], capture_output=True).returncode:
        pytest.skip("needs the npm package playwright-core (NODE_PATH names the node_modules that has it)")
    folder = tmp_path_factory.mktemp("web")
    files = [
        str(write(from_tensor(clip(), FPS), folder / name_of(suffix, codec, bits), codec=codec, bits=bits))
        for suffix, codec, bits in WEB
    ]
    script = str(Path(__file__).parent / "play.js")
    done = subprocess.run(["node", script, *files], capture_output=True, text=True, timeout=600)
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(found) == len(files), done.stdout[-2000:] + done.stderr[-3000:]
    return {report["name"]: report for report in found}


@pytest.mark.parametrize(("suffix", "codec", "bits"), WEB)
def test_a_file_for_the_web_plays_in_chromium(reports: dict[str, dict], suffix: str, codec: str, bits: int) -> None:
    report = reports[name_of(suffix, codec, bits)]
    assert "error" not in report, report["error"]
    assert (report["width"], report["height"], report["plays"]) == (WIDTH, HEIGHT, True)
    assert report["duration"] == pytest.approx(FRAMES / FPS, abs=1 / FPS)
    if FORMATS[suffix].kind == "animation":
        assert report["loops"]


@pytest.mark.parametrize(("suffix", "codec", "bits"), WEB)
def test_chromium_shows_the_colours_of_a_file_for_the_web(
    reports: dict[str, dict], suffix: str, codec: str, bits: int
) -> None:
    """Both shots' patches to 3 levels of 255. A limited-range file read as full, or BT.709 as BT.601, is 20 off."""
    report = reports[name_of(suffix, codec, bits)]
    wanted = COLOURS * 255
    if FORMATS[suffix].kind == "video":
        # More than 8 bits go through libyuv, whose coefficients end at 128/64: blue gets 2 Cb instead of 2.112.
        luma = wanted @ torch.tensor([0.2126, 0.7152, 0.0722])
        coarse = (2.0 / 2.112 - 1) * (wanted[..., 2] - luma)
        if bits == 8:
            assert report["matrix"] == "bt709"
        else:
            wanted = torch.stack([wanted[..., 0], wanted[..., 1], wanted[..., 2] + coarse], -1)
    assert float((torch.tensor(report["colours"]) - wanted).abs().max()) <= 3
