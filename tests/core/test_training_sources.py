"""Proves that captioned pictures and GIFs are found wherever their captions are, split by source and batched alike."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from diffilm_core.errors import DiffilmError
from diffilm_core.frames import from_tensor, write
from diffilm_core.training.data.samples import Batches, Buckets, Samples, bucket_sizes, collate
from diffilm_core.training.data.sources import Item, gifs, pictures, side

NAMES = ("a.png", "more/b.jpg", "more/c.png")


def picture(path: Path | None, width: int, height: int, colour: tuple[int, ...] = (200, 30, 60)) -> bytes:
    out = io.BytesIO()
    Image.new("RGBA" if len(colour) == 4 else "RGB", (width, height), colour).save(out, "png")
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(out.getvalue())
    return out.getvalue()


def clip(path: Path, frames: int, width: int = 40, height: int = 24) -> None:
    """Frame k has the value k / 100 all over."""
    values = torch.arange(frames)[:, None, None, None].expand(-1, height, width, 3) / 100
    write(from_tensor(values, 20), path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for at, name in enumerate(NAMES):
        picture(tmp_path / name, 30 + 10 * at, 20)
    return tmp_path


def captions_of(items: list[Item]) -> dict[str, tuple[str, int, int]]:
    return {item.source: (item.caption, item.width, item.height) for item in items}


WANTED = {name: (f"picture {at}", 30 + 10 * at, 20) for at, name in enumerate(NAMES)}


def test_captions_in_text_files(folder: Path) -> None:
    for at, name in enumerate(NAMES):
        (folder / name).with_suffix(".txt").write_text(f"picture {at}\n")
    assert captions_of(pictures(folder)) == WANTED


@pytest.mark.parametrize("key", ["file_name", "image"])
def test_captions_in_jsonl(folder: Path, key: str) -> None:
    lines = [json.dumps({key: name, "text": f"picture {at}"}) for at, name in enumerate(NAMES)]
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n\n")
    assert captions_of(pictures(folder)) == WANTED


def test_captions_in_csv(folder: Path) -> None:
    lines = [f'{name},"picture {at}"' for at, name in enumerate(NAMES)]
    (folder / "table.csv").write_text("file,caption\n" + "\n".join(lines))
    assert captions_of(pictures(folder)) == WANTED


def shard(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def test_tar_shards_and_the_pixels_in_them(tmp_path: Path) -> None:
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    files = [picture(None, 30, 20, colour) for colour in colours]
    shard(
        tmp_path / "0.tar", {"a.png": files[0], "a.txt": b"red", "b.png": files[1], "b.json": b'{"caption": "green"}'}
    )
    shard(tmp_path / "1.tar", {"x/a.txt": b"blue", "x/a.png": files[2]})
    items = pictures(tmp_path)
    assert [(item.source, item.caption) for item in items] == [
        ("0.tar/a", "red"), ("0.tar/b", "green"), ("1.tar/x/a", "blue"),
    ]  # fmt: skip
    samples = Samples(items, Buckets([(12, 8)]))
    for at, colour in enumerate(colours):
        assert samples[at, 0]["pixels"].reshape(-1, 3).unique(dim=0).tolist() == [list(colour)]


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 16, 16, (0, 0, 0, 0))
    (tmp_path / "a.txt").write_text("nothing")
    assert Samples(pictures(tmp_path), Buckets([(8, 8)]))[0, 0]["pixels"].unique().tolist() == [255]


def test_gifs_of_a_table_by_url_and_by_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clip(tmp_path / "tumblr_1.gif", 20)
    clip(tmp_path / "two.mp4", 12)
    (tmp_path / "broken.gif").write_bytes(b"GIF89a")
    lines = ["https://media.example/x/tumblr_1.gif\ta man waves", "two.mp4\ta dog runs", "two.mp4\tit runs",
             "gone.gif\tnobody", "broken.gif\tnothing"]  # fmt: skip
    table = tmp_path / "table.tsv"
    table.write_text("\n".join(lines))
    items = gifs(table)
    assert [(item.source, item.caption, item.frames, item.fps) for item in items] == [
        ("tumblr_1.gif", "a man waves", 20, 20.0),
        ("two.mp4", "a dog runs", 12, 20.0),
        ("two.mp4", "it runs", 12, 20.0),
    ]  # fmt: skip
    assert "2 of 5 captions" in caplog.text and "gone.gif" in caplog.text


def test_a_clips_frames_follow_each_other_at_the_rate_that_is_told(tmp_path: Path) -> None:
    clip(tmp_path / "a.mkv", 40)
    (tmp_path / "t.tsv").write_text("a.mkv\tit gets brighter")
    samples = Samples(gifs(tmp_path / "t.tsv"), Buckets([(16, 8)], lengths=(8,)), fps=(4, 10), seed=3)
    seen = set()
    for number in range(12):
        found = samples[0, number]
        assert found["pixels"].shape == (8, 8, 16, 3) and found["pixels"].dtype == torch.uint8
        levels = found["pixels"].float().mean((1, 2, 3)) / 255 * 100
        steps = levels.diff().round()
        assert steps.unique().numel() == 1 and 20 / float(steps[0]) == pytest.approx(found["fps"])
        seen.add((int(steps[0]), round(float(levels[0]))))
        assert torch.equal(samples[0, number]["pixels"], found["pixels"])
    assert len(seen) > 6 and {step for step, _ in seen} > {2, 4}


def test_batches_are_of_one_size_and_length_hold_everything_and_go_on_anywhere() -> None:
    items = [Item(f"{n}", f"{n}", "", 60 + 40 * (n % 3), 100, frames=(1, 5, 20)[n % 3]) for n in range(31)]
    buckets = Buckets(bucket_sizes(64, 8), lengths=(1, 4, 16))
    batches = Batches(items, buckets, batch=4, seed=1)
    stream = iter(batches)
    drawn = [next(stream) for _ in range(3 * batches.per_epoch)]
    for batch in drawn:
        assert len(batch) == 4 and len({buckets.of(items[item]) for item, _ in batch}) == 1
    for epoch in range(3):
        part = drawn[epoch * batches.per_epoch : (epoch + 1) * batches.per_epoch]
        assert {item for batch in part for item, _ in batch} == set(range(31))
    assert drawn[: batches.per_epoch] != drawn[batches.per_epoch : 2 * batches.per_epoch]
    numbers = [number for batch in drawn for _, number in batch]
    assert len(set(numbers)) == len(numbers)
    later = iter(Batches(items, buckets, batch=4, seed=1, start=7))
    assert [next(later) for _ in range(9)] == drawn[7:16]


def test_bucket_sizes_have_one_area_and_items_go_to_the_nearest_shape() -> None:
    sizes = bucket_sizes(256, 8)
    assert all(width % 8 == height % 8 == 0 and abs(width * height / 256**2 - 1) < 0.07 for width, height in sizes)
    buckets = Buckets(sizes)
    assert buckets.of(Item("", "", "", 1920, 1080)) == (344, 192, 1)
    assert buckets.of(Item("", "", "", 500, 500)) == (256, 256, 1)
    assert Buckets(sizes, (8, 16)).of(Item("", "", "", 500, 500, frames=7)) is None


def test_a_split_keeps_what_is_of_one_source_together_and_stays_when_more_comes() -> None:
    sides = [side(f"{n}.gif", validation=0.1, test=0.2, seed=5) for n in range(4000)]
    shares = [sides.count(each) / 4000 for each in ("train", "validation", "test")]
    assert shares == pytest.approx([0.7, 0.1, 0.2], abs=0.03)
    assert sides != [side(f"{n}.gif", validation=0.1, test=0.2, seed=6) for n in range(4000)]
    more = [side(f"{n}.gif", validation=0.15, test=0.2, seed=5) for n in range(4000)]
    assert all(now == "validation" for was, now in zip(sides, more, strict=True) if was == "validation")
    with pytest.raises(DiffilmError, match="below 1"):
        side("a", validation=0.6, test=0.4)


@pytest.mark.slow
def test_workers_decode_what_one_process_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for at in range(6):
        Image.fromarray(rng.integers(0, 255, (20, 30 + 10 * (at % 2), 3), np.uint8)).save(tmp_path / f"{at}.png")
        (tmp_path / f"{at}.txt").write_text(f"{at}")
    items, buckets = pictures(tmp_path), Buckets(bucket_sizes(16, 4))

    def first(workers: int) -> list[dict]:
        batches = Batches(items, buckets, batch=2)
        loader = DataLoader(Samples(items, buckets), batch_sampler=batches, collate_fn=collate, num_workers=workers)
        return [batch for batch, _ in zip(loader, range(5), strict=False)]

    for one, two in zip(first(0), first(2), strict=True):
        assert torch.equal(one["pixels"], two["pixels"]) and one["captions"] == two["captions"]


def test_what_is_wrong_with_a_source_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DiffilmError, match="no such folder"):
        pictures(tmp_path / "none")
    with pytest.raises(DiffilmError, match=r"3 pictures have no caption, the first is a\.png"):
        pictures(folder)
    (folder / "t.jsonl").write_text('{"file": "gone.png", "text": "x"}')
    with pytest.raises(DiffilmError, match=r"row 1: there is no .*gone\.png"):
        pictures(folder)
    (folder / "t.jsonl").write_text("{file}")
    with pytest.raises(DiffilmError, match="line 1: expected a JSON object"):
        pictures(folder)
    (folder / "t.tar").write_bytes(b"no tar at all" * 100)
    with pytest.raises(DiffilmError, match=r"t\.tar: it cannot be read"):
        pictures(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DiffilmError, match="holds no captioned picture"):
        pictures(tmp_path / "empty")
    table = tmp_path / "empty" / "t.tsv"
    with pytest.raises(DiffilmError, match="cannot be read"):
        gifs(table)
    table.write_text("a.gif a cat")
    with pytest.raises(DiffilmError, match="line 1: expected file, tab, caption"):
        gifs(table)
    table.write_text("a.gif\ta cat")
    with pytest.raises(DiffilmError, match="none of its clips"):
        gifs(table)
    with pytest.raises(DiffilmError, match="none of 1 clips has 16 frames"):
        Batches([Item("", "", "", 9, 9, frames=7)], Buckets([(8, 8)], (16, 24)), batch=2)
