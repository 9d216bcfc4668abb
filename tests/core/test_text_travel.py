"""Proves that a prompt schedule gives each frame its text, blended, and that a UNet takes one text a frame."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffilm_core.errors import DiffilmError
from diffilm_core.models import UNet, UNetConfig
from diffilm_core.text.travel import EXAMPLE, PromptTravel


@pytest.mark.parametrize(
    ("schedule", "starts", "prompts"),
    [
        (EXAMPLE, (0, 16), ("a fox in the snow", "a bee over a flower")),
        ("0: a fox\n  8 : a bee,\nred\n12:an owl", (0, 8, 12), ("a fox", "a bee, red", "an owl")),
        ("a fox", (0,), ("a fox",)),
        ("a fox/wolf mix, 3:2 / 5: at 10: 30", (0, 5), ("a fox/wolf mix, 3:2", "at 10: 30")),
        ("4: late / 6: later", (4, 6), ("late", "later")),
    ],
)
def test_schedules(schedule: str, starts: tuple[int, ...], prompts: tuple[str, ...]) -> None:
    assert PromptTravel.parse(schedule) == PromptTravel(starts, prompts)


@pytest.mark.parametrize(
    ("schedule", "match"), [("", "empty"), ("0: / 4: a", "empty"), ("4: a / 4: b", "after the one before")]
)
def test_bad_schedules(schedule: str, match: str) -> None:
    with pytest.raises(DiffilmError, match=match):
        PromptTravel.parse(schedule)


def test_blends() -> None:
    travel = PromptTravel((0, 4, 10), ("a", "b", "c"))
    values = torch.tensor([[0.0], [1.0], [3.0]])
    assert travel.blended(values, 12, 0)[:, 0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 3, 3]
    assert travel.blended(values, 12, 2)[:, 0].tolist() == [0, 0, 0, 0.5, 1, 1, 1, 1, 1, 2, 3, 3]
    every = [0, 0.25, 0.5, 0.75, 1, 4 / 3, 5 / 3, 2, 7 / 3, 8 / 3, 3, 3]
    assert travel.blended(values, 12, 100)[:, 0].tolist() == pytest.approx(every)
    with pytest.raises(DiffilmError, match="frame 10 of a clip of 10"):
        travel.steps(10, 2)
    with pytest.raises(DiffilmError, match="expected at least 1"):
        travel.steps(12, -1)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=5, unique=True).map(sorted), st.integers(0, 40))
def test_every_prompt_is_reached_at_its_frame_and_left_without_a_jump(starts: list[int], blend: int) -> None:
    travel = PromptTravel(tuple(starts), tuple("p" * len(starts)))
    steps = travel.steps(64, blend)
    places = [first + share for first, _, share in steps]
    assert all(first == second or second == first + 1 for first, second, _ in steps)
    assert [places[start] for start in starts] == list(range(len(starts)))
    assert all(0 <= b - a <= 1 for a, b in pairwise(places)) and places[-1] == len(starts) - 1


@pytest.mark.parametrize("temporal", ["pseudo3d", "modelscope", "animatediff"])
@torch.inference_mode()
def test_unets_take_a_text_a_frame(temporal: str) -> None:
    torch.manual_seed(0)
    config = UNetConfig(
        model_channels=32, channel_mult=(1, 2), num_res_blocks=1, transformer_depth=(1, 1), context_dim=16,
        num_heads=4, temporal=temporal,
    )  # fmt: skip
    unet = UNet(config).eval()
    for parameter in unet.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.02)
    texts, x, time = torch.randn(2, 5, 16), torch.randn(1, 4, 6, 8, 8), torch.tensor([500])
    still = PromptTravel((0,), ("a",)).blended(texts[:1], 6, 0)
    assert torch.allclose(unet(x, time, still), unet(x, time, texts[:1]), atol=1e-4)
    travel = PromptTravel((0, 3), ("a", "b")).blended(texts, 6, 2)
    moved = (unet(x, time, travel) - unet(x, time, texts[:1])).abs().amax(dim=(0, 1, 3, 4))
    assert float(moved.max()) > 1e-3
    if temporal == "pseudo3d":
        alone = unet(x, time, travel, enable_time=False)
        assert torch.allclose(alone[:, :, 5], unet(x, time, texts[1:], enable_time=False)[:, :, 5], atol=1e-4)
