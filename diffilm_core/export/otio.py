"""OpenTimelineIO's own JSON (schemas Timeline.1, Stack.1, Track.1, Clip.2, Transition.1, Marker.2)."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from .timeline import Event, Timeline


def otio(found: Timeline) -> str:
    """A video track with a clip for each shot out of the movie's file, a marker with its prompt, and transitions.

    The movie's frames hold the transitions already; both sides of one are the same frames of the file, so that a
    dissolve or a wipe changes nothing where a program makes it again. A fade through black has a type that programs
    leave alone.
    """
    children: list[dict[str, Any]] = []
    for event in found.events:
        if event.mixed:
            children.append(_transition(event, found))
        children.append(_clip(event, found))
    tracks = [_track("Video", "Video", children)]
    if found.sound:
        whole = _whole(found)
        tracks.append(_track("Sound", "Audio", [{**_item("Clip.2", found.title, whole), **_media(found)}]))
    form = {
        **_item("Timeline.1", found.title),
        "global_start_time": None,
        "tracks": {**_item("Stack.1", "tracks"), "children": tracks},
    }
    del form["effects"], form["markers"], form["enabled"], form["source_range"]
    return json.dumps(form, ensure_ascii=False, indent=2)


def _item(schema: str, name: str, source: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "OTIO_SCHEMA": schema, "metadata": {}, "name": name, "source_range": source, "effects": [], "markers": [],
        "enabled": True,
    }  # fmt: skip


def _track(name: str, kind: str, children: list[dict[str, Any]]) -> dict[str, Any]:
    return {**_item("Track.1", name), "kind": kind, "children": children}


def _time(frames: int, fps: Fraction) -> dict[str, Any]:
    return {"OTIO_SCHEMA": "RationalTime.1", "rate": float(fps), "value": float(frames)}


def _range(start: int, frames: int, fps: Fraction) -> dict[str, Any]:
    return {"OTIO_SCHEMA": "TimeRange.1", "start_time": _time(start, fps), "duration": _time(frames, fps)}


def _whole(found: Timeline) -> dict[str, Any]:
    return _range(0, found.frames, found.fps)


def _media(found: Timeline) -> dict[str, Any]:
    reference = {
        "OTIO_SCHEMA": "ExternalReference.1", "metadata": {}, "name": found.media.name,
        "available_range": _whole(found), "available_image_bounds": None, "target_url": found.media.as_uri(),
    }  # fmt: skip
    return {"media_references": {"DEFAULT_MEDIA": reference}, "active_media_reference_key": "DEFAULT_MEDIA"}


def _clip(event: Event, found: Timeline) -> dict[str, Any]:
    shot = event.shot
    clip = {**_item("Clip.2", event.name, _range(event.start, event.frames, found.fps)), **_media(found)}
    about = {"shot": shot.index + 1, "prompt": shot.prompt, "seed": str(shot.seed), "text": shot.text}
    clip["metadata"] = {"diffilm": {**about, "made": json.dumps(event.made or {}, sort_keys=True)}}
    clip["markers"] = [
        {
            "OTIO_SCHEMA": "Marker.2", "metadata": {"diffilm": about}, "name": shot.prompt, "color": "WHITE",
            "comment": shot.text, "marked_range": _range(event.start, 1, found.fps),
        }
    ]  # fmt: skip
    return clip


def _transition(event: Event, found: Timeline) -> dict[str, Any]:
    kinds = {"dissolve": "SMPTE_Dissolve"}
    before = event.start - event.mixed_from
    return {
        "OTIO_SCHEMA": "Transition.1", "metadata": {"diffilm": {"transition": event.transition}},
        "name": event.transition, "transition_type": kinds.get(event.transition, "Custom_Transition"),
        "in_offset": _time(before, found.fps), "out_offset": _time(event.mixed - before, found.fps),
    }  # fmt: skip
