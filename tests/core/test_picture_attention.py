"""Proves that every pixel of a clip sees its picture: `PictureAttention` reads the middle frame alone, begins as the
image model's own attention, and adds nothing until it is trained."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from diffilm_core.models import UNet, UNetConfig, is_temporal
from diffilm_core.models.build import Build
from diffilm_core.models.dialect import TemporalDialect
from diffilm_core.models.temporal.pseudo3d import PictureAttention, PictureTransformer, begin_at_image

FRAMES, PIXELS, WIDTH = 5, 9, 16
IMAGE = UNetConfig(4, 4, 32, (1, 2), 1, (1, 1), context_dim=16, head_dim=16)
WORDS = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(2))


def layer() -> PictureAttention:
    torch.manual_seed(0)
    return PictureAttention(Build(TemporalDialect()), WIDTH, 2).requires_grad_(False)


def frames(clips: int = 2) -> torch.Tensor:
    return torch.randn(clips * FRAMES, PIXELS, WIDTH, generator=torch.Generator().manual_seed(1))


def test_all_of_a_clip_sees_any_pixel_of_its_middle_frame_and_of_no_other() -> None:
    look, x = layer(), frames()
    before = look(x, FRAMES)
    for number in range(FRAMES):
        other = x.clone()
        other[number, 3] *= -1
        changed = (look(other, FRAMES) - before).abs().amax(-1) > 1e-6
        expected = torch.zeros(2 * FRAMES, PIXELS, dtype=torch.bool)
        if number == FRAMES // 2:
            expected[:FRAMES] = True
        expected[number, 3] = True
        assert torch.equal(changed, expected), number


def test_it_begins_as_the_attention_of_its_block() -> None:
    """What it would add to a clip that stands still is what self-attention adds; its output is zero until trained."""
    torch.manual_seed(0)
    transformer = PictureTransformer(Build(TemporalDialect()), WIDTH, 16, 2, 1, True).requires_grad_(False)
    block, look = transformer.transformer_blocks[0], transformer.temporal_picture[0]
    nn.init.normal_(block.norm1.weight)
    look.reset()
    transformer.begin()
    still = frames(1)[:1].repeat(FRAMES, 1, 1)
    assert torch.equal(look(still, FRAMES), still)
    look.attn.to_out.load_state_dict(block.attn1.to_out.state_dict())
    torch.testing.assert_close(look(still, FRAMES), still + block.attn1(block.norm1(still)))


@pytest.mark.parametrize("picture", [False, True])
def test_a_fresh_video_unet_is_its_image_unet(picture: bool) -> None:
    torch.manual_seed(0)
    image, video = UNet(IMAGE), UNet(IMAGE.with_time(picture=picture))
    missing, unexpected = video.load_state_dict(image.state_dict(), strict=False)
    begin_at_image(video)
    assert not unexpected
    assert all(map(is_temporal, missing))
    assert any("temporal_picture" in name for name in missing) == picture
    x, t = torch.randn(2, 4, FRAMES, 8, 8), torch.tensor([100, 700])
    with torch.no_grad():
        torch.testing.assert_close(video(x, t, WORDS, fps=8.0), image(x, t, WORDS), rtol=1e-4, atol=1e-5)
