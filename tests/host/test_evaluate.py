"""Proves that the node that measures takes lists of the host's VIDEO and IMAGE in a real ComfyUI, and tells in one line
what it cannot measure."""

from __future__ import annotations

from typing import Any

from hostkit import Server


def graph(**inputs: Any) -> dict[str, Any]:
    size = {"width": 64, "height": 48, "batch_size": 5}
    wanted = {"generated": ["2", 0], "metrics": "psnr,motion", "frames": 0, "rounds": 2, **inputs}
    return {
        "1": {"class_type": "EmptyImage", "inputs": {**size, "color": 0x808080}},
        "2": {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 8.0}},
        "3": {"class_type": "EmptyImage", "inputs": {**size, "color": 0x7E7E7E}},
        "4": {"class_type": "DiffilmEvaluate", "inputs": wanted},
        "5": {"class_type": "PreviewAny", "inputs": {"source": ["4", 0]}},
    }


def test_a_video_against_images(server: Server) -> None:
    """Two levels of 255 apart everywhere: 42.11 dB; nothing moves."""
    table = server.run(graph(real=["3", 0]))["5"]["text"][0]
    rows = {line.split("  ")[0]: line.split() for line in table.splitlines() if line}
    assert rows["PSNR (dB)"][2] == "42.11" and rows["motion (levels of 255)"][4] == "0.000"


def test_what_cannot_be_measured_is_one_line(server: Server) -> None:
    said = server.fails(graph(metrics="fvd"))
    assert said.splitlines()[0].endswith("metric fvd needs a real set: give a second file or folder, of real ones")
