"""Checked shots: each is looked at when it is sampled, and what is wrong may be sampled again with other seeds."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..errors import NotFinite
from ..frames import decode
from ..story import Shot, Storyboard
from .checks import Finding, Scorer, ShotReport, check_shot
from .production import Production

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Take:
    """One attempt at a shot: 0 is the storyboard's own seed."""

    shot: Shot
    number: int
    report: ShotReport


def take_seed(seed: int, number: int) -> int:
    """The seed of a shot's take; 0 is the shot's own. 48 bits, exact in every JSON reader."""
    if not number:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}\ntake {number}".encode()).digest()[:6], "big")


def report_of(production: Production, shot: Shot, scorer: Scorer | None = None) -> ShotReport:
    """What is wrong with a shot, sampled where it is missing. Kept in the manifest under the key of its latents."""
    key = production.latents_key(shot)
    found = production.store.manifest().get("checks", {}).get(key)
    if found is not None and (scorer is None) == ("text" not in found["measures"]):
        return ShotReport.from_dict(found)
    latents = production.film.latents(shot)
    settings = production.settings
    stream = decode(production.sampler.model.vae, latents, settings.source_fps, batch=settings.batch)
    report = check_shot(stream, shot.prompt, scorer)
    production.store.note("checks", key, report.to_dict())
    return report


def best_takes(
    production: Production, *, rerolls: int = 0, scorer: Scorer | None = None
) -> tuple[Storyboard, tuple[Take, ...]]:
    """The storyboard with the best seed of each shot, and the takes that were chosen.

    A shot with findings is sampled again with up to `rerolls` other seeds, until one has none; the best is kept, the
    earliest among equals. The seeds follow from the shot's own, so the same movie chooses the same takes; a run that
    was stopped finds its takes in the store. Raises NotFinite where all takes of a shot are not-a-number.
    """
    chosen: list[Take] = []
    for shot in production.board.shots:
        before = _neighbour(chosen, shot)
        takes: list[Take] = []
        for number in range(rerolls + 1):
            attempt = replace(shot, seed=take_seed(shot.seed, number))
            try:
                report = report_of(production, attempt, scorer).with_neighbour(before)
            except NotFinite as error:
                if number == rerolls and all(not take.report.measures["finite"] for take in takes):
                    raise
                report = ShotReport({"finite": False}, (Finding("nan", str(error), 10.0),))
            takes.append(Take(attempt, number, report))
            production.sampler.report(shot, production.sampler.steps)
            if not report.findings:
                break
            words = "; ".join(finding.says for finding in report.findings)
            log.info("shot %d, take %d: %s", shot.index + 1, number + 1, words)
        chosen.append(min(takes, key=lambda take: (take.report.badness, take.number)))
    return replace(production.board, shots=tuple(take.shot for take in chosen)), tuple(chosen)


def _neighbour(chosen: Sequence[Take], shot: Shot) -> ShotReport | None:
    """The report of the shot before, where both are of one scene and place."""
    if not chosen:
        return None
    before = chosen[-1].shot
    same = (before.scene, before.place, before.time) == (shot.scene, shot.place, shot.time)
    return chosen[-1].report if same else None


def in_words(takes: Sequence[Take]) -> list[str]:
    """A line for each shot, for people."""
    lines = []
    for take in takes:
        found = "; ".join(finding.says for finding in take.report.findings) or "nothing found"
        match = take.report.measures.get("text")
        text = "" if match is None else f" (match {match:.2f})"
        again = f" [take {take.number + 1}, seed {take.shot.seed}]" if take.number else ""
        lines.append(f"shot {take.shot.index + 1}: {found}{text}{again}")
    return lines
