"""Movies: a storyboard filmed shot by shot into a folder that can be picked up again, and joined to a file."""

from .film import Film
from .make import make_movie
from .pieces import Piece, plan_pieces
from .production import Production
from .record import MovieRecord, read_record
from .render import RenderSettings, render, shot_stream
from .reshoot import reshoot
from .sample import ModelSampler, SampleSettings, parse_size
from .store import ShotStore, digest_key, movie_folder

__all__ = [
    "Film",
    "ModelSampler",
    "MovieRecord",
    "Piece",
    "Production",
    "RenderSettings",
    "SampleSettings",
    "ShotStore",
    "digest_key",
    "make_movie",
    "movie_folder",
    "parse_size",
    "plan_pieces",
    "read_record",
    "render",
    "reshoot",
    "shot_stream",
]
