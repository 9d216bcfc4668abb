"""A movie's folder gives back exactly what was stored, and notices every file that is not what was stored."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from diffilm_core.errors import Cancelled, DiffilmError
from diffilm_core.frames import from_tensor, write
from diffilm_core.movie import Film, ShotStore, digest_key, movie_folder
from diffilm_core.story import Shot, Storyboard

BOARD = Storyboard(shots=tuple(Shot(index=i, prompt=f"a fox, part {i}", seed=i) for i in range(4)))


def key_of(shot: Shot) -> str:
    return digest_key({"prompt": shot.prompt, "seed": shot.seed})


def film(board: Storyboard, sample_shot: Callable[[Shot], torch.Tensor], store: ShotStore) -> list[torch.Tensor]:
    return [latents for _, latents in Film(board, sample_shot, store, key_of)]


class Sampler:
    """Latents from the seed; records which shots it was asked for."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.sampled: list[int] = []
        self.stop_at = stop_at

    def __call__(self, shot: Shot) -> torch.Tensor:
        if shot.index == self.stop_at:
            raise Cancelled
        self.sampled.append(shot.index)
        return torch.randn(3, 2, 4, 5, generator=torch.Generator().manual_seed(shot.seed))


def test_a_key_is_the_digest_of_the_canonical_settings() -> None:
    one = digest_key({"a": 1, "b": [Fraction(1, 2), None, "é"]})
    assert one == digest_key({"b": [Fraction(2, 4), None, "é"], "a": 1}) and len(one) == 64
    assert len({one, digest_key({"a": 1.5}), digest_key({"a": "1"}), digest_key({"a": True}), digest_key({})}) == 5
    with pytest.raises(TypeError):
        digest_key({"a": object()})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_latents_come_back_bit_for_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    latents = torch.randn(3, 4, 5, 6).to(dtype).transpose(0, 1)
    ShotStore(tmp_path / "m").put_latents("k" * 64, latents)
    again = ShotStore(tmp_path / "m")
    found = again.latents("k" * 64)
    assert found is not None and found.dtype == dtype and torch.equal(found, latents)
    assert again.latents("l" * 64) is None
    assert again.latents("k" * 63 + "x") is None


def damages(whole: bytes) -> Iterator[bytes]:
    yield whole[:-1]
    yield whole[: len(whole) // 2]
    yield b""
    yield whole + b"x"
    yield whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:]


@pytest.mark.parametrize("damage", range(5))
def test_damaged_files_are_named_removed_and_made_again(
    tmp_path: Path, damage: int, caplog: pytest.LogCaptureFixture
) -> None:
    store = ShotStore(tmp_path)
    clip = from_tensor(torch.rand(4, 16, 16, 3), 8)
    store.put_latents("k" * 64, torch.randn(3, 2, 4, 5))
    store.put_segment("k" * 64, lambda path: write(clip, path))
    assert store.segment("k" * 64) == store.segment_path("k" * 64)
    for path, find in (
        (store.latents_path("k" * 64), store.latents),
        (store.segment_path("k" * 64), store.segment),
    ):
        path.write_bytes(list(damages(path.read_bytes()))[damage])
        with caplog.at_level(logging.WARNING):
            assert find("k" * 64) is None
        assert str(path) in caplog.messages[-1] and "made again" in caplog.messages[-1]
        assert "\n" not in caplog.messages[-1] and not path.exists()
    store.put_segment("k" * 64, lambda path: write(clip, path))
    assert store.segment("k" * 64) is not None


def test_a_segment_without_its_record_does_not_count(tmp_path: Path) -> None:
    store = ShotStore(tmp_path)
    clip = from_tensor(torch.rand(2, 16, 16, 3), 8)

    def stop(path: Path) -> None:
        write(clip, path)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.put_segment("k" * 64, stop)
    assert store.segment("k" * 64) is None
    store.put_segment("k" * 64, lambda path: write(clip, path))
    for text in ("", "[]", "{}", '{"key": 3}'):
        store.segment_path("k" * 64).with_suffix(".json").write_text(text)
        assert store.segment("k" * 64) is None
        store.put_segment("k" * 64, lambda path: write(clip, path))
    assert store.segment("k" * 64) is not None


def test_the_manifest_is_versioned_and_survives_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = ShotStore(tmp_path)
    assert store.manifest() == {}
    path = store.put_manifest({"title": "é", "fps": Fraction(16)})
    assert store.manifest() == {"version": 1, "title": "é", "fps": "16"}
    for text in ("", "{", "[1]", "{}"):
        path.write_text(text)
        assert ShotStore(tmp_path).manifest() == {} and str(path) in caplog.messages[-1]
    path.write_text('{"version": 99}')
    with pytest.raises(DiffilmError, match=r"version 99, expected 1"):
        ShotStore(tmp_path)


def test_what_killed_runs_left_is_cleared_after_an_hour(tmp_path: Path) -> None:
    ShotStore(tmp_path)
    old, new = tmp_path / "shots" / ".a.x1.part.mp4", tmp_path / "shots" / ".b.x2.part.mp4"
    for path in (old, new):
        path.touch()
    os.utime(old, (time.time() - 4000,) * 2)
    ShotStore(tmp_path)
    assert not old.exists() and new.exists()


def test_an_impossible_folder_is_named(tmp_path: Path) -> None:
    assert movie_folder(tmp_path / "my film.mp4") == tmp_path / "my film.diffilm"
    (tmp_path / "m.diffilm").write_text("a file")
    with pytest.raises(DiffilmError, match=r"cannot make the movie's folder"):
        ShotStore(tmp_path / "m.diffilm")


def test_a_folder_that_became_unwritable_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ShotStore(tmp_path / "m.diffilm")
    for part in ("m.diffilm", "latents", "shots"):

        def refuse(folder: Path, part: str = part) -> None:
            if folder.name == part:
                raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("diffilm_core.movie.store.check_writable", refuse)
        with pytest.raises(DiffilmError, match=r"movie's folder .* \(Permission denied\)"):
            ShotStore(tmp_path / "m.diffilm")


def test_filming_stops_and_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = film(BOARD, Sampler(), ShotStore(tmp_path / "whole"))
    first, second = Sampler(stop_at=2), Sampler()
    with pytest.raises(Cancelled):
        film(BOARD, first, ShotStore(tmp_path / "m"))
    again = film(BOARD, second, ShotStore(tmp_path / "m"))
    assert (first.sampled, second.sampled) == ([0, 1], [2, 3])
    assert all(torch.equal(a, b) for a, b in zip(whole, again, strict=True))


def test_an_edit_costs_the_shots_that_changed(tmp_path: Path) -> None:
    film(BOARD, Sampler(), ShotStore(tmp_path))
    shots = [*BOARD.shots[:2], Shot(index=2, prompt="a bear", seed=2), Shot(index=3, prompt="a fox, part 2", seed=2)]
    sampler = Sampler()
    film(Storyboard(shots=tuple(shots)), sampler, ShotStore(tmp_path))
    assert sampler.sampled == [2]


def test_filming_reports_and_refuses_what_is_not_finite(tmp_path: Path) -> None:
    seen: list[tuple] = []
    list(Film(BOARD, Sampler(), ShotStore(tmp_path / "a"), key_of, lambda *call: seen.append(call)))
    assert [call[:3] for call in seen] == [("film", n, 4) for n in range(5)]
    store = ShotStore(tmp_path / "b")
    with pytest.raises(DiffilmError, match="shot 1 came out as not-a-number"):
        film(BOARD, lambda shot: torch.full((3, 2, 4, 5), float("nan")), store)
    assert store.latents(key_of(BOARD.shots[0])) is None
