"""Proves that a download appears whole or not at all, goes on where it stopped, and asks for the licence before."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import file_download

from diffilm_core.checkpoints import fetch as fetching
from diffilm_core.checkpoints.fetch import DownloadFailed, fetch, models_folder
from diffilm_core.checkpoints.published import (
    APACHE,
    PUBLISHED,
    PublishedFile,
    PublishedModel,
    published,
    size_text,
    where_to_get,
)
from diffilm_core.checkpoints.verify import read_record, record_path, verify
from diffilm_core.cli import main
from diffilm_core.errors import DiffilmError
from tests.hub import Hub, serve

WEIGHTS = bytes(range(256)) * 400
BIG = PublishedFile("someone/model", "sub/weights.bin", "unet", "diffusion_models", 1, "model.bin")
SMALL = PublishedFile("someone/model", "config.json", "text", "text_encoders/model", 1)
MODEL = PublishedModel("tiny", "a tiny model", "modelscope", APACHE, (BIG, SMALL))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    files = {"someone/model/sub/weights.bin": WEIGHTS, "someone/model/config.json": b"{}\n"}
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HF_TOKEN", "COMFYUI_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(file_download.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(file_download.constants, "DOWNLOAD_CHUNK_SIZE", 4096)
    monkeypatch.setitem(PUBLISHED, "tiny", MODEL)
    with serve(files) as hub:
        hub.small.add("someone/model/config.json")
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def gets(hub: Hub) -> list[str | None]:
    return [ranges for method, path, ranges in hub.asked if method == "GET" and path.endswith("weights.bin")]


def test_files_come_whole_with_a_record_each(hub: Hub, tmp_path: Path) -> None:
    seen = []
    paths = fetch(MODEL, tmp_path, progress=lambda stage, done, total, message="": seen.append((stage, done, total)))
    assert paths == [tmp_path / "diffusion_models/model.bin", tmp_path / "text_encoders/model/config.json"]
    assert paths[0].read_bytes() == WEIGHTS and paths[1].read_bytes() == b"{}\n"
    assert files_in(tmp_path) == sorted(
        name + end for name in ("diffusion_models/model.bin", "text_encoders/model/config.json")
        for end in ("", ".fetched.json")
    )  # fmt: skip
    record = read_record(paths[0])
    assert record is not None and (record.size, len(record.digest), record.revision) == (len(WEIGHTS), 64, "c" * 40)
    assert ("fetching model.bin", len(WEIGHTS), len(WEIGHTS)) in seen
    assert any(stage.startswith("checking") for stage, _, _ in seen)


def test_what_is_there_is_not_fetched_again(hub: Hub, tmp_path: Path) -> None:
    path = fetch(MODEL, tmp_path)[0]
    record_path(path).unlink()  # as when it was put there by hand
    hub.asked.clear()
    fetch(MODEL, tmp_path)
    assert gets(hub) == [] and record_path(path).exists()
    path.write_bytes(b"someone's own file")
    with pytest.raises(DiffilmError, match="is not the hub's file"):
        fetch(MODEL, tmp_path)
    assert path.read_bytes() == b"someone's own file"


def test_a_connection_that_breaks_off_is_taken_up_again(hub: Hub, tmp_path: Path) -> None:
    hub.cut = 30_000
    assert fetch(MODEL, tmp_path)[0].read_bytes() == WEIGHTS
    assert gets(hub)[0] is None and len(gets(hub)) > 3 and all(gets(hub)[1:])


@pytest.mark.parametrize("end", ["Ctrl-C", "the hub is gone"])
def test_an_interrupted_download_goes_on_where_it_stopped(hub: Hub, tmp_path: Path, end: str) -> None:
    def stop(stage: str, done: int, total: int, message: str = "") -> None:
        if done > 40_000 and end == "Ctrl-C":
            raise KeyboardInterrupt
        hub.gated = done > 20_000 and end != "Ctrl-C"

    hub.cut = 30_000
    with pytest.raises(KeyboardInterrupt if end == "Ctrl-C" else DownloadFailed):
        fetch(MODEL, tmp_path, progress=stop)
    assert files_in(tmp_path) == [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.part")]
    (part,) = tmp_path.rglob("*.part")
    assert part.name.startswith(".model.bin.") and 20_000 < part.stat().st_size < len(WEIGHTS)
    had = part.stat().st_size
    hub.cut, hub.gated, hub.sent = None, False, 0
    hub.asked.clear()
    path = fetch(MODEL, tmp_path)[0]
    assert gets(hub) == [f"bytes={had}-"] and hub.sent == len(WEIGHTS) - had + 3
    assert path.read_bytes() == WEIGHTS and not list(tmp_path.rglob("*.part"))


def test_large_files_come_from_the_host_that_the_hub_points_to(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.cdn, hub.cut = True, 30_000
    assert fetch(MODEL, tmp_path)[0].read_bytes() == WEIGHTS
    assert hub.tokens == {"127.0.0.1"}, "a token is for the hub alone"


def test_two_downloads_of_one_file_do_not_mix(hub: Hub, tmp_path: Path) -> None:
    def again(stage: str, done: int, total: int, message: str = "") -> None:
        if stage == "fetching model.bin":
            with pytest.raises(DiffilmError, match="another"):
                fetch(MODEL, tmp_path)

    assert fetch(MODEL, tmp_path, progress=again)[0].read_bytes() == WEIGHTS


def test_a_hub_without_ranges_starts_again(hub: Hub, tmp_path: Path) -> None:
    hub.ranges = False
    part = tmp_path / "diffusion_models" / f".model.bin.{hub.digest('someone/model/sub/weights.bin')[:12]}.part"
    part.parent.mkdir()
    part.write_bytes(WEIGHTS[:500])
    part.with_name(".model.bin.0123456789ab.part").write_bytes(b"of an older version")
    assert fetch(MODEL, tmp_path)[0].read_bytes() == WEIGHTS and not list(tmp_path.rglob("*.part"))


def test_another_content_than_the_hub_says_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.lies = "a" * 64
    with pytest.raises(DiffilmError, match="not what it says it has"):
        fetch(MODEL, tmp_path)
    assert files_in(tmp_path) == []


def test_a_full_disk_is_told_before_anything_is_asked(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 5000, 5000))
    with pytest.raises(DiffilmError, match=r"has 5 kB free, expected 64\.1 MB"):
        fetch(MODEL, tmp_path / "not" / "there")
    assert gets(hub) == [] and files_in(tmp_path) == []


def test_a_disk_that_fills_is_an_error_about_the_disk(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: io.FileIO, block: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetching._Counted, "write", full)
    with pytest.raises(DiffilmError, match=r"No space left on device.*expected a writable folder with room"):
        fetch(MODEL, tmp_path)
    assert not (tmp_path / "diffusion_models/model.bin").exists()


def test_errors_of_the_hub_say_what_to_do(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.gated = True
    with pytest.raises(DownloadFailed, match=r"accepted on the hub too.*someone/model.*hf auth login"):
        fetch(MODEL, tmp_path)
    hub.gated = False
    del hub.files["someone/model/sub/weights.bin"]
    with pytest.raises(DownloadFailed, match=r"the hub has no someone/model/sub/weights\.bin"):
        fetch(MODEL, tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(DownloadFailed, match="run the same command again"):
        fetch(MODEL, tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(DiffilmError, match="pip install huggingface_hub"):
        fetch(MODEL, tmp_path)


def test_the_command_asks_for_the_licence(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    to = ["fetch", "tiny", "--to", str(tmp_path)]
    for answers in (io.StringIO(), Terminal("n\n"), Terminal("\n")):
        monkeypatch.setattr(sys, "stdin", answers)
        assert main(to) == 2
        said = capsys.readouterr().err
        assert APACHE.url in said and "--accept-licence" in said and said.count("error:") == 1
    assert hub.asked == [] and files_in(tmp_path) == []
    monkeypatch.setattr(sys, "stdin", Terminal("yes\n"))
    assert main(to) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == str(tmp_path / "diffusion_models/model.bin")
    assert "licence: Apache-2.0" in said.err and "[y/N]" in said.err
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert main([*to, "--accept-licence"]) == 0
    hub.gated = True
    assert main([*to, "--accept-licence"]) == 1


def test_the_list_has_every_model_with_size_licence_and_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch"]) == 0
    said = capsys.readouterr().out
    for model in PUBLISHED.values():
        (line,) = [line for line in said.splitlines() if line.startswith(model.name + " ")]
        assert size_text(model.size) in line and model.licence.name in line
        assert all(file.folder in line for file in model.files)
    assert main(["fetch", "modelskope"]) == 2
    assert "did you mean modelscope" in capsys.readouterr().err


def test_the_table_is_sound() -> None:
    targets: dict[str, set[tuple[str, str]]] = {}
    for name, model in PUBLISHED.items():
        assert name == model.name and model.files and model.licence.url.startswith("https://")
        for file in model.files:
            assert file.repository.count("/") == 1 and file.size > 0 and len(file.sha256) in (0, 64)
            assert file.role in ("unet", "vae", "text", "motion", "lora")
            targets.setdefault(file.target, set()).add((file.path, file.sha256))
    assert all(len(files) == 1 for files in targets.values()), "two files under one name"
    said = where_to_get(["modelscope"], "unet")
    assert "5.65 GB" in said and "models/diffusion_models" in said and "CC-BY-NC-4.0" in said
    with pytest.raises(DiffilmError, match="lists them"):
        published("nothing like it")


def test_where_models_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYUI_PATH", "/opt/ComfyUI")
    assert models_folder("here") == Path("here") and models_folder() == Path("/opt/ComfyUI/models")
    monkeypatch.delenv("COMFYUI_PATH")
    assert models_folder() == Path("models")


def test_verify_finds_truncated_and_altered_files(hub: Hub, tmp_path: Path) -> None:
    path, small = fetch(MODEL, tmp_path)
    assert verify(path).startswith("whole") and verify(small).startswith("whole")
    for data, what in ((WEIGHTS[:-1], "truncated"), (WEIGHTS + b"x", "altered"), (b"x" + WEIGHTS[1:], "altered")):
        path.write_bytes(data)
        with pytest.raises(DiffilmError, match=f"is {what}"):
            verify(path)
    small.write_bytes(b"[]\n")
    with pytest.raises(DiffilmError, match="is altered"):
        verify(small)


def test_verify_without_a_record(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    file = tmp_path / "own.safetensors"
    save_file({"a": torch.arange(1000.0)}, file)
    assert "no hash is known" in verify(file)
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(DiffilmError, match="truncated"):
        verify(file)
    file = tmp_path / "own.pth"
    torch.save({"a": torch.arange(1000.0)}, file)
    assert "checksums" in verify(file)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(DiffilmError, match="truncated or altered"):
        verify(file)
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(DiffilmError, match="truncated or altered"):
        verify(file)
    other = tmp_path / "svd_xt.safetensors"
    save_file({"a": torch.zeros(1)}, other)
    with pytest.raises(DiffilmError, match=r"is not the published svd_xt\.safetensors"):
        verify(other)
    for path, what in ((tmp_path, "is a folder"), (tmp_path / "none.bin", "does not exist")):
        with pytest.raises(DiffilmError, match=what):
            verify(path)
    (tmp_path / "x.bin").write_bytes(b"x")
    with pytest.raises(DiffilmError, match="nothing to check it by"):
        verify(tmp_path / "x.bin")


def test_a_record_that_is_none_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "x.bin"
    for text in ("", "[]", json.dumps({"size": 1})):
        record_path(file).write_text(text)
        assert read_record(file) is None


def test_the_readme_has_every_published_file() -> None:
    text = (Path(__file__).absolute().parents[2] / "README.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    for name, model in PUBLISHED.items():
        own = [row for row in rows if f"`{name}`" in row and model.licence.name in row]
        assert own, name
        for file in model.files:
            assert any(f"`{file.folder}`" in row for row in own), file.target
            named = [row for row in own if f"`{file.filename}`" in row]
            assert all(size_text(file.size) in row for row in named)
            assert named or len(model.files) > 3 or name.startswith("animatediff-lora-"), file.filename


def test_inspect_verifies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    from tests.published import modelscope

    file = tmp_path / "weights.pth"
    torch.save(modelscope.original(modelscope.native()), file)
    assert main(["inspect", "--verify", str(file)]) == 0
    said = capsys.readouterr().out
    assert "ModelScope" in said and "checksums" in said
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 255
    for broken in (data, data[: len(data) // 2]):
        file.write_bytes(broken)
        assert main(["inspect", "--verify", str(file)]) == 2
        assert str(file) in capsys.readouterr().err
