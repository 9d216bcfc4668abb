"""Check the detection of cuts on a film whose cuts are known: Big Buck Bunny, its 126 hard cuts seen by eye.

    python scripts/check_cuts.py                     # reads .cache/clips/films/film.mp4, of fetch_finishing_data.py

Three questions: the film as it is, every continuous shot alone (nothing may be found in it), and splices of pieces from
inside the shots, 30 cuts each, neighbours from different shots. A cut counts as found to within a frame. The frames are
read at 640x360 and kept at the detector's own size, which is what it makes of them first.
"""

from __future__ import annotations

import argparse
import random
import sys
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from diffilm_core.frames import from_tensor, read
from diffilm_core.frames.cuts import SIZE, detect_cuts

FPS, LONGEST = 24, 640
# fmt: off
CUTS = (
    285, 378, 553, 1145, 1346, 1456, 1531, 1666, 1711, 1763, 1813, 1919, 2154, 2194, 2394, 2494, 2704, 2831,
    2901, 2963, 3045, 3513, 3578, 3744, 3860, 3895, 3919, 3989, 4032, 4069, 4227, 4266, 4332, 4463, 4544, 4612,
    4672, 4697, 4726, 4796, 4900, 4942, 4979, 5013, 5079, 5131, 5292, 5307, 5371, 5430, 5518, 5579, 5809, 5844,
    6018, 6048, 6088, 6128, 6168, 6208, 6228, 6268, 6308, 6348, 6388, 6488, 6623, 6670, 6713, 6753, 6833, 7013,
    7093, 7131, 7325, 7400, 7500, 7546, 7613, 7661, 7732, 7769, 8024, 8085, 8154, 8945, 9009, 9080, 9148, 9379,
    9420, 9468, 9507, 9575, 9584, 9593, 9719, 9795, 9850, 9891, 9987, 10016, 10081, 10097, 10125, 10184, 10234,
    10260, 10303, 10339, 10409, 10453, 10468, 10574, 10613, 10637, 10842, 10999, 11312, 11349, 11524, 11560,
    11612, 11671, 13942, 14314,
)
# fmt: on
SOFT = ((0, 60), (755, 800), (7165, 7220), (11025, 11100), (11715, 13942))
"""Fades, a dissolve, the iris and the credits: no shots to take pieces from."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--film", type=Path, default=Path(".cache/clips/films/film.mp4"), help="moviepy_10_minutes' file"
    )
    parser.add_argument("--splices", type=int, default=20, metavar="N", help="of 30 cuts each")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    film = small_frames(args.film)
    told("the film as it is", [score(film, CUTS)])
    shots = continuous(film.shape[0])
    told(f"{len(shots)} continuous shots, each alone", [score(film[a:b], ()) for a, b in shots])
    rng = random.Random(args.seed)
    told(f"{args.splices} splices, seed {args.seed}", [score(*spliced(film, shots, rng)) for _ in range(args.splices)])


def small_frames(path: Path) -> Tensor:
    """All frames of a video `(t, h, w, 3)` at the detector's size, in half precision."""
    stream = read(path, longest=LONGEST)
    small = torch.empty(stream.frames, *SIZE, 3, dtype=torch.float16)
    done = 0
    for chunk in stream:
        small[done : done + chunk.shape[0]] = F.adaptive_avg_pool2d(chunk.movedim(-1, 1), SIZE).movedim(1, -1)
        done += chunk.shape[0]
    return small


def continuous(frames: int) -> list[tuple[int, int]]:
    """First frame and end of each shot of at least 20 frames that is free of soft transitions."""
    shots = pairwise((0, *CUTS, frames))
    return [(a, b) for a, b in shots if b - a >= 20 and not any(a < end and start < b for start, end in SOFT)]


def spliced(film: Tensor, shots: list[tuple[int, int]], rng: random.Random) -> tuple[Tensor, tuple[int, ...]]:
    """31 pieces of 8 to 48 frames from inside the shots, no two neighbours of one shot; and the 30 cuts."""
    pieces: list[Tensor] = []
    last = None
    while len(pieces) < 31:
        shot = rng.choice([each for each in shots if each != last])
        length = rng.randint(8, min(48, shot[1] - shot[0]))
        start = rng.randint(shot[0], shot[1] - length)
        pieces.append(film[start : start + length])
        last = shot
    ends = torch.tensor([piece.shape[0] for piece in pieces]).cumsum(0).tolist()
    return torch.cat(pieces), tuple(ends[:-1])


def score(frames: Tensor, cuts: tuple[int, ...]) -> tuple[int, list[int], list[int]]:
    """How many cuts there are, which were missed by more than a frame, and what was found where none is."""
    found = detect_cuts(from_tensor(frames, FPS))
    missed = [cut for cut in cuts if not any(abs(cut - each) <= 1 for each in found)]
    return len(cuts), missed, [each for each in found if not any(abs(cut - each) <= 1 for cut in cuts)]


def told(what: str, scores: list[tuple[int, list[int], list[int]]]) -> None:
    missed, false = [each[1] for each in scores], [each[2] for each in scores]
    whole = sum(not (lost or more) for lost, more in zip(missed, false, strict=True))
    for kind, places in (("missed", missed), ("false", false)):
        what += f", {sum(map(len, places))} {kind} {[each for each in places if each] or ''}"
    print(f"{what}; {sum(each[0] for each in scores)} cuts, {whole} of {len(scores)} without a fault", flush=True)


if __name__ == "__main__":
    main()
