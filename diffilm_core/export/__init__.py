"""A finished movie for other programs: chapters, subtitles, timelines."""

from .edl import edl
from .fcpxml import fcpxml
from .otio import otio
from .subtitles import Cue, cues, srt, vtt
from .timecode import timecode
from .timeline import Event, Timeline, chapters, timeline

__all__ = [
    "Cue",
    "Event",
    "Timeline",
    "chapters",
    "cues",
    "edl",
    "fcpxml",
    "otio",
    "srt",
    "timecode",
    "timeline",
    "vtt",
]
