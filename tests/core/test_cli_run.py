"""Proves that `diffilm run` queues, follows, fetches and stops a workflow, and that each mistake is one clear line."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diffilm_core.cli import main
from diffilm_core.cli.workflow import parse_change
from tests.comfy_standin import StandIn, serve

WORKFLOW: dict[str, Any] = {
    "3": {"class_type": "Sampler", "inputs": {"seed": 1, "model": ["5", 0]}, "_meta": {"title": "The sampler v1.5"}},
    "5": {"class_type": "Text", "inputs": {"text": "a fox"}},
    "6": {"class_type": "Text", "inputs": {"text": "blur", "format.codec": "h264"}, "_meta": {"title": "Negative"}},
    "9": {"class_type": "Save", "inputs": {"images": ["3", 0]}},
}


@pytest.fixture
def server() -> Iterator[StandIn]:
    with serve() as state:
        state.messages = [
            ("execution_cached", {"nodes": ["5"]}),
            ("executing", {"node": "3"}),
            ("progress", {"node": "3", "value": 1, "max": 4}),
            ("executing", {"node": "9"}),
            ("execution_success", {}),
        ]
        state.outputs = {
            "9": {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}], "animated": [True]},
            "10": {"gifs": [{"filename": "a.png", "subfolder": "clips", "type": "output", "format": "video/mp4"}]},
            "11": {"audio": [{"filename": "b.flac", "subfolder": "", "type": "temp"}], "text": ["hello"]},
        }
        state.files = {
            ("output", "", "a.png"): b"one" * 1000,
            ("output", "clips", "a.png"): b"two",
            ("temp", "", "b.flac"): b"three",
        }
        yield state


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps(WORKFLOW), "utf-8")
    return path


def run(workflow: Path, server: StandIn | str, *arguments: str) -> int:
    url = server if isinstance(server, str) else server.url
    return main(["run", str(workflow), "--server", url, "-o", str(workflow.parent / "out"), *arguments])


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    text = capsys.readouterr().err
    assert text.count("\n") == 1 and text.startswith("diffilm: error: "), text
    return text


@pytest.mark.parametrize("websocket", [True, False])
def test_queues_follows_and_fetches(server: StandIn, workflow: Path, capsys: Any, websocket: bool) -> None:
    server.websocket = websocket
    assert run(workflow, server) == 0
    out = workflow.parent / "out"
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        "a.png": b"one" * 1000, "a-2.png": b"two", "b.flac": b"three"
    }  # fmt: skip
    assert capsys.readouterr().out.splitlines() == [str(out / name) for name in ("a.png", "a-2.png", "b.flac")]
    (body,) = server.asked("/prompt")
    assert body["prompt"] == WORKFLOW and len(body["client_id"]) == 32
    assert not server.asked("/interrupt")


def test_a_second_run_keeps_the_same_files(server: StandIn, workflow: Path) -> None:
    assert run(workflow, server) == run(workflow, server) == 0
    assert len(list((workflow.parent / "out").iterdir())) == 3


@pytest.mark.parametrize(
    ("change", "node", "field", "value"),
    [
        ("3.seed=7", "3", "seed", 7),
        ("Sampler.seed=7", "3", "seed", 7),
        ("The sampler v1.5.seed=7", "3", "seed", 7),
        ("Negative.text=bad = worse", "6", "text", "bad = worse"),
        ("6.text=2024", "6", "text", "2024"),
        ('6.text="2024"', "6", "text", "2024"),
        ('6.text=["5", 0]', "6", "text", ["5", 0]),
        ("6.format.codec=vp9", "6", "format.codec", "vp9"),
        ("3.note=true", "3", "note", "true"),
        ("5.text=", "5", "text", ""),
    ],
)
def test_set_changes_an_input(
    server: StandIn, workflow: Path, change: str, node: str, field: str, value: object
) -> None:
    assert run(workflow, server, "--set", change) == 0
    sent = server.asked("/prompt")[0]["prompt"]
    assert sent[node]["inputs"][field] == value
    changed = [n for n in WORKFLOW if sent[n] != WORKFLOW[n]]
    assert changed == [node]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ("7.seed=1", "no node '7' in the workflow; it has 3 (Sampler, 'The sampler v1.5'), 5 (Text)"),
        ("3.sed=1", "node 3 (Sampler, 'The sampler v1.5') has no input 'sed'; it has seed, model, note"),
        ("Text.text=x", "2 nodes have that name; use an id: 5, 6"),
        ("seed=1", "expected NODE.INPUT=VALUE"),
        ("3.seed", "expected NODE.INPUT=VALUE"),
    ],
)
def test_wrong_set_is_refused_before_queueing(
    server: StandIn, workflow: Path, capsys: Any, change: str, match: str
) -> None:
    assert run(workflow, server, "--set", change) == 2
    assert match in one_line(capsys)
    assert not server.posts


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b'{"nodes": [], "links": []}', "UI format"),
        (b"[]", "holds no nodes"),
        (b"{}", "holds no nodes"),
        (b"not json", "is not JSON"),
        (b'{"3": {"inputs": {}}}', "'3' is no node"),
        (b'{"3": {"class_type": "Text", "inputs": []}}', "the inputs of node 3"),
        (None, "no workflow at"),
    ],
)
def test_file_that_is_no_api_workflow(tmp_path: Path, capsys: Any, data: bytes | None, match: str) -> None:
    path = tmp_path / "w.json"
    if data is not None:
        path.write_bytes(data)
    assert run(path, "http://127.0.0.1:9") == 2
    assert match in one_line(capsys)


def test_unknown_class_is_named_before_queueing(server: StandIn, workflow: Path, capsys: Any) -> None:
    workflow.write_text(json.dumps({**WORKFLOW, "12": {"class_type": "Magic Wand/2", "inputs": {}}}))
    assert run(workflow, server) == 2
    assert "no node class 'Magic Wand/2' (node 12 (Magic Wand/2))" in one_line(capsys)
    assert not server.posts


def test_unreachable_server_is_told_quickly(workflow: Path, capsys: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    start = time.monotonic()
    assert run(workflow, url) == 2
    assert f"no ComfyUI server at {url}" in one_line(capsys)
    for wrong in ("ftp://x", "http://", "http://a b", "http://x:99999999"):
        assert run(workflow, wrong) == 2
        assert "expected an address such as" in one_line(capsys)
    assert time.monotonic() - start < 6


def test_server_that_never_answers_is_given_up(workflow: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffilm_core.cli import comfy

    monkeypatch.setattr(comfy.Comfy.__init__, "__kwdefaults__", {"timeout": 60.0, "first_timeout": 0.5})
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        assert run(workflow, f"127.0.0.1:{deaf.getsockname()[1]}") == 2
    assert "timed out" in one_line(capsys)


def test_refused_workflow_gives_the_nodes_own_words(server: StandIn, workflow: Path, capsys: Any) -> None:
    error = {"type": "value_smaller_than_min", "message": "Value -1 smaller than min of 0", "details": "seed"}
    server.refusal = {
        "error": {"message": "Prompt outputs failed validation", "details": ""},
        "node_errors": {"3": {"errors": [error], "class_type": "Sampler"}},
    }
    assert run(workflow, server) == 2
    assert "node 3 (Sampler, 'The sampler v1.5'): Value -1 smaller than min of 0: seed" in one_line(capsys)
    server.refusal = {"error": {"message": "Prompt has no outputs", "details": ""}, "node_errors": {}}
    assert run(workflow, server) == 2
    assert "Prompt has no outputs" in one_line(capsys)


def test_part_that_was_refused_is_told_at_the_end(server: StandIn, workflow: Path, capsys: Any) -> None:
    server.node_errors = {"9": {"errors": [{"message": "Required input is missing", "details": "images"}]}}
    assert run(workflow, server) == 1
    assert "node 9 (Save): Required input is missing: images" in one_line(capsys)
    assert (workflow.parent / "out" / "a.png").is_file()


@pytest.mark.parametrize("websocket", [True, False])
def test_failing_node_speaks(server: StandIn, workflow: Path, capsys: Any, websocket: bool) -> None:
    server.websocket = websocket
    words = "size is 100x100, this model needs multiples of 32\nuse 96x96\n"
    failure = {"node_id": "3", "node_type": "Sampler", "exception_message": words, "exception_type": "DiffilmError"}
    server.messages = [("executing", {"node": "3"}), ("execution_error", failure)]
    assert run(workflow, server) == 1
    line = one_line(capsys)
    assert (
        "node 3 (Sampler, 'The sampler v1.5') failed: size is 100x100, this model needs multiples of 32 use 96x96"
        in line
    )
    assert not list((workflow.parent / "out").iterdir())


def test_job_stopped_by_somebody_else(server: StandIn, workflow: Path, capsys: Any) -> None:
    server.messages = [("execution_interrupted", {"node_id": "3"})]
    assert run(workflow, server) == 1
    assert "stopped on the server, at node 3" in one_line(capsys)


def test_job_that_vanished(server: StandIn, workflow: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffilm_core.cli.comfy.POLL", 0.01)
    server.websocket = False
    server.hang = True
    server.running = type("Forgetful", (list,), {"append": lambda *a: None})()
    assert run(workflow, server) == 1
    assert "no longer has the job" in one_line(capsys)


def test_file_that_breaks_off_is_not_kept(server: StandIn, workflow: Path, capsys: Any) -> None:
    server.cut_files = True
    assert run(workflow, server) == 1
    assert "a.png" in one_line(capsys)
    assert not list((workflow.parent / "out").iterdir())


def test_names_from_the_server_stay_in_the_folder(server: StandIn, workflow: Path) -> None:
    names = ["../../evil.png", "..", "C:\\x\\c.png", ".bashrc"]
    server.outputs = {"9": {"images": [{"filename": name, "subfolder": "", "type": "output"} for name in names]}}
    server.files = {("output", "", name): name.encode() for name in names}
    assert run(workflow, server) == 0
    assert sorted(path.name for path in (workflow.parent / "out").iterdir()) == [
        "bashrc",
        "c.png",
        "evil.png",
        "output",
    ]


def test_folder_that_cannot_be_written(server: StandIn, workflow: Path, capsys: Any) -> None:
    (workflow.parent / "out").write_text("a file")
    assert run(workflow, server) == 2
    assert "cannot write into" in one_line(capsys)
    assert not server.posts


def test_nothing_made_is_said(server: StandIn, workflow: Path, capsys: Any) -> None:
    server.outputs = {}
    assert run(workflow, server) == 0
    assert "made no files" in capsys.readouterr().err


@pytest.mark.parametrize("websocket", [True, False])
def test_ctrl_c_stops_the_servers_job(server: StandIn, workflow: Path, websocket: bool) -> None:
    server.hang = True
    server.websocket = websocket
    command = [
        sys.executable,
        "-m",
        "diffilm_core.cli",
        "run",
        str(workflow),
        "--server",
        server.url,
        "-o",
        str(workflow.parent),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    deadline = time.monotonic() + 30
    while not server.running and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert process.stderr is not None and process.stderr.read().splitlines()[-1] == "diffilm: stopped"
    (prompt_id,) = server.running
    assert server.asked("/queue") == [{"delete": [prompt_id]}]
    assert server.asked("/interrupt") == [{"prompt_id": prompt_id}]


def test_bar_on_a_long_run(server: StandIn, workflow: Path, capsys: Any) -> None:
    server.seconds = 0.6
    assert run(workflow, server) == 0
    bar = capsys.readouterr().err
    assert "running" in bar and "/4" in bar


def test_dots_in_titles_and_inputs_are_told_apart() -> None:
    nodes: dict[str, Any] = {
        "1": {"class_type": "A", "inputs": {"b.c": 0}, "_meta": {"title": "Negative"}},
        "2": {"class_type": "B", "inputs": {"c": 0}, "_meta": {"title": "Negative.b"}},
        "3": {"class_type": "C", "inputs": {"d": 0}, "_meta": {"title": "Negative.two"}},
    }
    found = [parse_change(nodes, text) for text in ("Negative.two.d=1", "Negative.b.c=1", "2.c=1", "Negative.two.x=1")]
    assert [(change.node, change.input) for change in found] == [("3", "d"), ("1", "b.c"), ("2", "c"), ("1", "two.x")]
