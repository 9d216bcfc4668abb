"""Filming on many machines or GPUs: Ray's workers sample the shots into the movie's folder, which all of them see.

Ray schedules: one shot a task, one GPU a task where the movie is made on GPUs. A shot whose worker is lost is sampled
by another one, which goes on from the last saved step.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from ..bundle import VideoModel, load_model
from ..cluster import POLL_SECONDS, connected
from ..errors import DiffilmError
from ..frames.progress import Progress
from ..story import Shot, Storyboard
from .film import Film
from .production import Production
from .sample import ModelSampler, SampleSettings
from .store import ShotStore


def film_on_ray(production: Production, address: str, progress: Progress | None = None) -> int:
    """Samples the shots that the store lacks on the cluster at `address`; returns how many.

    address: as `connected` has it; a worker is a core or GPU. The model's file and the movie's folder must be there
    under the same path on every machine, as on a shared disk, and its devices of the driver's kind: shots made
    elsewhere are others. `progress("sample", steps done, steps, message)` after each shot. Raises DiffilmError where
    Ray is not installed or not reached, and what a worker raised.
    """
    missing = {production.latents_key(shot): shot for shot in production.board.shots if _missing(production, shot)}
    if not missing:
        return 0
    ray = connected(address)
    try:
        model = production.sampler.model
        work = ray.remote(max_retries=-1, num_cpus=1, num_gpus=int(model.device.type == "cuda"))(_film)
        settings, folder = production.sampler.settings, production.store.folder.resolve()
        source, threads = (model.path.resolve(), model.device.type), torch.get_num_threads()
        board = ray.put(production.board)
        waiting = {
            work.remote(source, settings, folder, key, board, shot.index, threads): shot
            for key, shot in missing.items()
        }
        done, all_shots, steps = 0, len(production.board.shots), production.sampler.steps
        while waiting:
            ready, _ = ray.wait(list(waiting), timeout=POLL_SECONDS)
            for task in ready:
                shot = waiting.pop(task)
                _result(ray, task, shot)
                done += 1
            if progress is not None:
                there = all_shots - len(waiting)
                progress("sample", there * steps, all_shots * steps, f"{there} of {all_shots} shots, on {address}")
        return done
    finally:
        ray.shutdown()  # which ends this run's tasks


def _missing(production: Production, shot: Shot) -> bool:
    return production.store.latents(production.latents_key(shot)) is None


def _result(ray: Any, task: Any, shot: Shot) -> None:
    try:
        ray.get(task)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, DiffilmError):
            raise error.cause from error
        raise
    except ray.exceptions.RayError as error:
        reason = " ".join(str(error).split())[:200]
        raise DiffilmError(f"shot {shot.index + 1} was not sampled on the cluster ({reason}): run again") from error


@lru_cache(maxsize=1)
def _model(path: Path, device: str) -> VideoModel:
    return load_model(path, device=device)


def _film(
    source: tuple[Path, str], settings: SampleSettings, folder: Path, key: str, board: Storyboard, at: int, threads: int
) -> None:
    """In a worker: shot `at` of the board into the store. Threads as the driver's: their number changes roundings."""
    torch.set_num_threads(threads)
    sampler, shot = ModelSampler(_model(*source), settings, len(board.shots)), board.shots[at]
    if sampler.key(shot) != key:
        raise DiffilmError(
            f"shot {shot.index + 1} would come out otherwise on this worker ({source[1]}, {sampler.form}): expected "
            "the driver's model and number format on every machine"
        )
    sampler.store = ShotStore(folder)
    Film(board, sampler, sampler.store, sampler.key).latents(shot)
