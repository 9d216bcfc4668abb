"""Curation: a folder of clips is measured shot by shot, and what is not worth training on falls."""

from .measure import measure
from .row import Row
from .run import Summary, curate, decide
from .settings import Settings, Thresholds, read_thresholds
from .table import kept_shots, metadata_of

__all__ = [
    "Row",
    "Settings",
    "Summary",
    "Thresholds",
    "curate",
    "decide",
    "kept_shots",
    "measure",
    "metadata_of",
    "read_thresholds",
]
