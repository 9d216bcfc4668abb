"""Proves that the judge of the shipped model counts what it says: the place, the object, both objects of two; and that
what it sees is put into words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from einops import rearrange
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from diffilm_core.errors import DiffilmError
from diffilm_core.metrics.probe import load_probe
from diffilm_core.training.places import PLACES
from diffilm_core.training.pool import to_unit
from diffilm_core.training.probe import Probe, judge, probe_loss, seen
from diffilm_core.training.scenes import heldout_duos, heldout_pairs, heldout_prompts
from diffilm_core.training.sheet import LINE, PAD
from diffilm_core.training.vocabulary import OBJECTS


class Said(nn.Module):
    """Answers with fixed logits, whatever it is shown."""

    def __init__(self, objects: list[list[float]], places: list[list[float]]) -> None:
        super().__init__()
        self.objects, self.places = nn.Parameter(torch.tensor(objects)), nn.Parameter(torch.tensor(places))

    def forward(self, pixels):
        return self.objects[: len(pixels)], self.places[: len(pixels)]


PIXELS = torch.zeros(2, 3, 8, 8)
PROBE = Said([[9.0, 8, 7, 6, 5, 4, 3], [0.0, 1, 2, 3, 4, 5, 6]], [[1.0, 0], [1.0, 0]])


def test_one_subject_is_right_at_the_first_guess_or_among_five() -> None:
    found = judge(PROBE, PIXELS, torch.tensor([0, 2]), torch.tensor([0, 1]))
    assert found == {"place": 0.5, "object": 0.5, "object5": 1.0}


def test_two_subjects_are_found_only_where_both_are() -> None:
    where = torch.tensor([0, 0])
    assert judge(PROBE, PIXELS, torch.tensor([[1, 0], [6, 5]]), where)["object"] == 1.0
    assert judge(PROBE, PIXELS, torch.tensor([[1, 2], [6, 5]]), where)["object"] == 0.5
    assert judge(PROBE, PIXELS, torch.tensor([[0, 4], [6, 0]]), where)["object5"] == 0.5


def test_the_loss_is_least_where_two_share_the_answer() -> None:
    both, place = torch.tensor([[0, 1]]), torch.tensor([0])
    first, half = Said([[9.0, 0, 0]], [[9.0, 0]]), Said([[9.0, 9, 0]], [[9.0, 0]])
    one = torch.tensor([[0, -1]])
    assert probe_loss(half, PIXELS[:1], both, place) < probe_loss(first, PIXELS[:1], both, place)
    assert probe_loss(first, PIXELS[:1], one, place) < probe_loss(half, PIXELS[:1], one, place)


def test_a_picture_of_two_counts_as_much_as_one_of_one() -> None:
    even, place = Said([[0.0, 0, 0]], [[0.0, 0]]), torch.tensor([0])
    losses = [probe_loss(even, PIXELS[:1], torch.tensor([pair]), place) for pair in ([0, 1], [0, -1])]
    torch.testing.assert_close(losses[0], losses[1])


def test_two_subject_prompts_name_held_out_pairs() -> None:
    words, scenes = heldout_duos(50)
    assert words[:10] == heldout_duos(10)[0] and len(set(words)) == 50
    for prompt, thing, other, place in zip(words, scenes.object, scenes.other, scenes.place, strict=True):
        assert (int(thing), int(place)) in heldout_pairs() and thing != other and other >= 0 and " and " in prompt


@pytest.mark.parametrize("objects", [[[0, 1]], [[2, -1]]])
def test_the_loss_has_a_gradient(objects: list[list[int]]) -> None:
    probe = Said([[1.0, 2, 3]], [[1.0, 0]])
    probe_loss(probe, PIXELS[:1], torch.tensor(objects), torch.tensor([1])).backward()
    assert probe.objects.grad is not None and probe.objects.grad.abs().sum() > 0


def test_what_is_seen_is_one_subject_two_or_none_and_the_place() -> None:
    logits = [[9.0, *[0.0] * 9], [8.0, 0, 7.5, *[0.0] * 7], [0.0] * 10]
    told = seen(Said(logits, [[0.0, 5], [5.0, 0], [5.0, 0]]), torch.zeros(3, 3, 8, 8, dtype=torch.uint8))
    first, third = OBJECTS[0].noun, OBJECTS[2].noun
    assert first in told[0] and " and " not in told[0] and told[0].endswith(PLACES[1].where[0])
    assert first in told[1] and f" and {told[1].split(' and ')[1].split()[0]} {third}" in told[1]
    assert told[1].endswith(PLACES[0].where[0]) and told[2] == ""


def test_a_second_object_does_not_take_from_the_first() -> None:
    probe = Probe(2, 1)
    probe.parts.net = nn.Flatten(0, 0)
    with torch.no_grad():
        probe.objects.weight.zero_()
        probe.objects.bias.zero_()
        probe.objects.weight[0, 0] = probe.objects.weight[1, 1] = 1.0
    alone = torch.zeros(1, 320, 8, 8)
    alone[:, 0, :2] = 40.0
    both = alone.clone()
    both[:, 1, 6:] = 40.0
    with torch.no_grad():
        one, two = probe(alone)[0][0], probe(both)[0][0]
    torch.testing.assert_close(one[0], two[0])
    assert two[1] == two[0] and one[1] < one[0] - 30


def test_a_probe_of_before_its_parts_voted_is_no_probe(tmp_path: Path) -> None:
    probe = Probe(len(OBJECTS), len(PLACES))
    save_file(probe.state_dict(), tmp_path / "probe.safetensors")
    assert torch.equal(load_probe(tmp_path / "probe.safetensors").places.bias, probe.places.bias)
    older = {name.replace("parts.", "tower."): tensor for name, tensor in probe.state_dict().items()}
    save_file(older, tmp_path / "older.safetensors")
    with pytest.raises(DiffilmError, match=r"older\.safetensors was trained before .* train it again$"):
        load_probe(tmp_path / "older.safetensors")


def test_the_probe_in_docs_names_what_the_sheet_of_the_shipped_model_shows() -> None:
    docs = Path(__file__).parents[2] / "docs"
    sheet = torch.from_numpy(np.array(Image.open(docs / "model-stills.jpg")))
    cells = rearrange(sheet[PAD:, PAD:], "(r h) (c w) d -> (r c) d h w", r=8, c=10)[:, :, : -2 * LINE - PAD, :-PAD]
    assert cells.shape == (80, 3, 128, 128)
    _, objects, places = zip(*heldout_prompts(200)[:80], strict=True)
    probe = load_probe(docs / "probe.safetensors")
    found = judge(probe, to_unit(cells), torch.tensor(objects), torch.tensor(places))
    assert found["place"] > 0.95 and found["object"] > 0.65 and found["object5"] > 0.9
    others = judge(probe, to_unit(cells), torch.tensor(objects).roll(1), torch.tensor(places).roll(1))
    assert others["object"] < 0.1 and others["place"] < 0.3
