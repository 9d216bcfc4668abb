"""Final Cut Pro's FCPXML 1.10, which DaVinci Resolve reads as well. All times are exact fractions of a second."""

from __future__ import annotations

from fractions import Fraction
from xml.etree import ElementTree as ET

from .timecode import is_drop
from .timeline import Event, Timeline

DISSOLVE = "FxPlug:4731E73A-8DAC-4113-9A30-AE85B1761265"
"""Final Cut's identifier of its Cross Dissolve."""
BAD = {chr(code) for code in (*range(0xD800, 0xE000), 0xFFFE, 0xFFFF)}


def fcpxml(found: Timeline) -> str:
    """A project with an asset-clip for each shot out of the movie's file, its text as a note, its prompt as a marker.

    A dissolve is a transition over the cut: both sides are the same frames of the file, which holds it already. Wipes
    and fades stay in the picture alone, with a marker that says so, since they have no identifier in the format.
    """
    root = ET.Element("fcpxml", version="1.10")
    resources = ET.SubElement(root, "resources")
    ET.SubElement(
        resources, "format", id="r1", frameDuration=_time(1 / found.fps), width=str(found.width),
        height=str(found.height), colorSpace="1-1-1 (Rec. 709)",
    )  # fmt: skip
    asset = ET.SubElement(
        resources, "asset", id="r2", name=_clean(found.media.stem), start="0s", duration=_frames(found.frames, found),
        hasVideo="1", videoSources="1", format="r1",
    )  # fmt: skip
    if found.sound:
        asset.attrib |= {"hasAudio": "1", "audioSources": "1", "audioChannels": "2"}
    ET.SubElement(asset, "media-rep", kind="original-media", src=found.media.as_uri())
    if any(_dissolves(event) for event in found.events):
        ET.SubElement(resources, "effect", id="r3", name="Cross Dissolve", uid=DISSOLVE)
    event = ET.SubElement(ET.SubElement(root, "library"), "event", name=_clean(found.title))
    project = ET.SubElement(event, "project", name=_clean(found.title))
    form = "DF" if is_drop(found.fps) else "NDF"
    sequence = ET.SubElement(
        project, "sequence", format="r1", duration=_frames(found.frames, found), tcStart="0s", tcFormat=form
    )
    spine = ET.SubElement(sequence, "spine")
    for each in found.events:
        _shot(spine, each, found, form)
    ET.indent(root)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n'
    return head + ET.tostring(root, encoding="unicode") + "\n"


def _dissolves(event: Event) -> bool:
    return event.transition == "dissolve" and event.mixed > 0


def _shot(spine: ET.Element, event: Event, found: Timeline, form: str) -> None:
    if _dissolves(event):
        mixed = ET.SubElement(
            spine, "transition", name="Cross Dissolve", offset=_frames(event.mixed_from, found),
            duration=_frames(event.mixed, found),
        )  # fmt: skip
        ET.SubElement(mixed, "filter-video", ref="r3", name="Cross Dissolve")
    start = _frames(event.start, found)
    clip = ET.SubElement(
        spine, "asset-clip", ref="r2", offset=start, name=_clean(event.name), start=start,
        duration=_frames(event.frames, found), format="r1", tcFormat=form,
    )  # fmt: skip
    if event.shot.text.strip():
        ET.SubElement(clip, "note").text = _clean(event.shot.text)
    notes = [(event.shot.prompt, f"seed {event.shot.seed}")]
    if event.mixed and not _dissolves(event):
        notes.append((f"{event.transition} of {event.mixed} frames", "in the picture already"))
    for value, note in notes:
        ET.SubElement(
            clip, "marker", start=start, duration=_time(1 / found.fps), value=_clean(value), note=_clean(note)
        )


def _frames(count: int, found: Timeline) -> str:
    """Whole frames in the frame rate's own unit: `1001/24000s` times the count, as Final Cut asks."""
    if not count:
        return "0s"
    one = 1 / found.fps
    return f"{count * one.numerator}/{one.denominator}s"


def _time(seconds: Fraction) -> str:
    return f"{seconds.numerator}/{seconds.denominator}s"


def _clean(text: str) -> str:
    """Without what XML 1.0 cannot hold."""
    return "".join(letter for letter in text if letter in "\t\n\r" or (letter >= " " and letter not in BAD))
