"""Proves that timelines, subtitles and chapters have every shot at its frame, exactly, as other programs read them."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffilm_core.export import Timeline, chapters, cues, edl, fcpxml, otio, srt, timecode, timeline, vtt
from diffilm_core.movie.pieces import plan_pieces
from diffilm_core.story import Shot, Storyboard

RATES = [Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(60000, 1001), Fraction(8)]
LENGTHS = (48, 30, 25, 40, 33)
KINDS = ("", "dissolve", "cut", "fade", "wipe")
TEXTS = (
    "The fox walked through the snow.", "It was <cold> & dark: é.", "", "A very long sentence goes on and on, until "
    "nobody knows any more how it began, and it still goes on after that, for the test needs it to.", "End.",
)  # fmt: skip


def film(fps: Fraction = Fraction(24), kinds: tuple[str, ...] = KINDS, texts: tuple[str, ...] = TEXTS) -> Timeline:
    shots = tuple(
        Shot(n, f'prompt "{n}" <b> & é', text=text, seed=2**63 + n, duration=float(length / fps), transition=kind)
        for n, (length, kind, text) in enumerate(zip(LENGTHS, kinds, texts, strict=True))
    )
    board = Storyboard(shots, title="The Fox & <Co>")
    pieces = plan_pieces([str(n) for n in range(5)], LENGTHS, kinds, 7)
    made = [{"model": "abc", "seed": n} for n in range(5)]
    return timeline(board, pieces, fps, (256, 128), Path("/films/the fox é.mp4"), made=made, sound=True)


def test_events_follow_the_pieces() -> None:
    """Transitions of 7 frames eat 7 frames of the film; the cut is in their middle."""
    found = film()
    assert found.frames == sum(LENGTHS) - 3 * 7
    assert [(e.start, e.mixed_from, e.mixed) for e in found.events] == [
        (0, 0, 0), (45, 41, 7), (71, 0, 0), (93, 89, 7), (126, 122, 7),
    ]  # fmt: skip
    assert [e.end for e in found.events] == [45, 71, 93, 126, 155]
    assert film(kinds=("",) * 5).events[3].start == 48 + 30 + 25


def frames_of(label: str, fps: Fraction) -> int:
    """Back from a timecode by counting: the inverse of what is tested, on its own."""
    hours, minutes, seconds, frames = map(int, re.split("[:;]", label))
    base, total = round(fps), hours * 60 + minutes
    drop = {30: 2, 60: 4}[base] if ";" in label else 0
    return (total * 60 + seconds) * base + frames - drop * (total - total // 10)


@given(frame=st.integers(0, 5_000_000), fps=st.sampled_from(RATES))
def test_timecode_counts_frames(frame: int, fps: Fraction) -> None:
    label = timecode(frame % (24 * 3600 * round(fps) // 2), fps)
    assert frames_of(label, fps) == frame % (24 * 3600 * round(fps) // 2)
    if ";" in label and label[4] != "0" and label[6:8] == "00":
        assert int(label[9:]) >= {30: 2, 60: 4}[round(fps)]


def test_drop_frame_timecode_is_the_standards() -> None:
    rate = Fraction(30000, 1001)
    known = {0: "00:00:00;00", 1799: "00:00:59;29", 1800: "00:01:00;02", 17981: "00:09:59;29", 17982: "00:10:00;00",
             107892: "01:00:00;00"}  # fmt: skip
    assert {frame: timecode(frame, rate) for frame in known} == known
    assert timecode(3596, Fraction(60000, 1001)) == "00:00:59;56"
    assert timecode(3600, Fraction(60000, 1001)) == "00:01:00;04"
    assert timecode(86400, Fraction(24000, 1001)) == "01:00:00:00"


@pytest.mark.parametrize("fps", RATES, ids=str)
def test_otio_is_read_by_its_library(fps: Fraction, tmp_path: Path) -> None:
    library = pytest.importorskip("opentimelineio")
    found = film(fps)
    (tmp_path / "a.otio").write_text(otio(found), encoding="utf-8")
    read = library.adapters.read_from_file(str(tmp_path / "a.otio"))
    assert read.name == "The Fox & <Co>" and read.duration().value == found.frames
    video, sound = read.video_tracks()[0], read.audio_tracks()[0]
    clips = list(video.find_clips())
    for clip, event in zip(clips, found.events, strict=True):
        assert (clip.source_range.start_time.value, clip.source_range.duration.value) == (event.start, event.frames)
        assert clip.range_in_parent().start_time.value == event.start and clip.name == event.name
        assert clip.source_range.start_time.rate == float(fps)
        assert clip.markers[0].name == event.shot.prompt and clip.metadata["diffilm"]["seed"] == str(event.shot.seed)
        assert json.loads(clip.metadata["diffilm"]["made"]) == event.made
        assert clip.media_reference.target_url == "file:///films/the%20fox%20%C3%A9.mp4"
        assert clip.available_range().duration.value == found.frames
    mixed = [each for each in video if isinstance(each, library.schema.Transition)]
    assert [each.transition_type for each in mixed] == ["SMPTE_Dissolve", "Custom_Transition", "Custom_Transition"]
    assert [(each.in_offset.value, each.out_offset.value) for each in mixed] == [(4, 3)] * 3
    assert sound.duration().value == found.frames
    again = library.adapters.write_to_string(read, "otio_json")
    assert library.adapters.read_from_string(again, "otio_json").is_equivalent_to(read)


@pytest.mark.parametrize("fps", [Fraction(24), Fraction(25), Fraction(30000, 1001)], ids=str)
def test_the_edl_is_read_by_an_adapter(fps: Fraction) -> None:
    library = pytest.importorskip("opentimelineio")
    if "cmx_3600" not in library.adapters.available_adapter_names():
        pytest.skip("needs otio-cmx3600-adapter")
    found = film(fps)
    read = library.adapters.read_from_string(edl(found), "cmx_3600", rate=float(fps))
    clips = list(read.find_clips())
    assert len(clips) == 5 and read.duration().value == found.frames
    starts = [clip.source_range.start_time.value for clip in clips]
    cuts = [event.start for event in found.events if not event.mixed or event.transition == "fade"]
    assert set(cuts) <= set(starts) and all(clip.source_range.duration.value > 0 for clip in clips)
    kinds = [each.transition_type for track in read.tracks for each in track
             if isinstance(each, library.schema.Transition)]  # fmt: skip
    assert len(kinds) == 2 and kinds[0] == "SMPTE_Dissolve"


def test_the_edl_to_the_letter() -> None:
    lines = edl(film(Fraction(30000, 1001))).splitlines()
    assert lines[:2] == ["TITLE: The Fox & <Co>", "FCM: DROP FRAME"]
    assert "001  AX       V     C        00:00:00;00 00:00:01;11 01:00:00;00 01:00:01;11" in lines
    assert "002  AX       V     C        00:00:01;11 00:00:01;11 01:00:01;11 01:00:01;11" in lines
    assert "002  AX       V     D    007 00:00:01;11 00:00:02;11 01:00:01;11 01:00:02;11" in lines
    assert "* FADE OF 7 FRAMES IN THE PICTURE" in lines and all(ord(letter) < 128 for line in lines for letter in line)
    assert "FCM: NON-DROP FRAME" in edl(film(Fraction(24000, 1001)))


def seconds(text: str) -> Fraction:
    return Fraction(text.removesuffix("s"))


@pytest.mark.parametrize("fps", RATES, ids=str)
def test_fcpxml_has_exact_times_and_the_formats_structure(fps: Fraction) -> None:
    found = film(fps)
    text = fcpxml(found)
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n<fcpxml version="1.10">')
    root = ET.fromstring(text)
    assert [each.tag for each in root] == ["resources", "library"]
    form, asset = root.find("resources/format"), root.find("resources/asset")
    assert form is not None and asset is not None and seconds(form.get("frameDuration", "")) == 1 / fps
    assert (form.get("width"), form.get("height")) == ("256", "128")
    assert asset.find("media-rep").get("src") == "file:///films/the%20fox%20%C3%A9.mp4"
    sequence = root.find("library/event/project/sequence")
    assert sequence.get("tcFormat") == ("DF" if fps in (Fraction(30000, 1001), Fraction(60000, 1001)) else "NDF")
    assert seconds(sequence.get("duration")) == found.frames / fps
    ids = {each.get("id") for each in root.find("resources")}
    clips = root.findall(".//spine/asset-clip")
    at = Fraction(0)
    for clip, event in zip(clips, found.events, strict=True):
        assert clip.get("ref") in ids and seconds(clip.get("offset")) == at == event.start / fps
        assert seconds(clip.get("start")) == at and seconds(clip.get("duration")) == event.frames / fps
        assert [each.tag for each in clip][-1] == "marker"
        assert clip.find("marker").get("value") == event.shot.prompt
        at += event.frames / fps
    (mixed,) = root.findall(".//spine/transition")
    assert seconds(mixed.get("offset")) == 41 / fps and seconds(mixed.get("duration")) == 7 / fps
    order = [each.tag for each in root.find(".//spine")]
    assert order == ["asset-clip", "transition", *["asset-clip"] * 4]
    unit = form.get("frameDuration").removesuffix("s").split("/")[1]
    assert all(clip.get("duration").endswith(f"/{unit}s") for clip in clips)


def test_fcpxml_is_read_by_an_adapter() -> None:
    library = pytest.importorskip("opentimelineio")
    if "fcpx_xml" not in library.adapters.available_adapter_names():
        pytest.skip("needs otio-fcpx-xml-adapter")
    read = library.adapters.read_from_string(fcpxml(film(kinds=("",) * 5)), "fcpx_xml")
    names = [clip.name for clip in read.find_clips()]
    assert [name.split(":")[0] for name in names] == [f"Shot {n}" for n in range(1, 6)]


def test_subtitles_are_wrapped_and_in_time() -> None:
    found = film()
    got = cues(found)
    for cue in got:
        assert 1 <= len(cue.lines) <= 2 and all(len(line) <= 42 for line in cue.lines) and cue.start < cue.end
    assert all(a.end <= b.start for a, b in pairwise(got)) and got[-1].end <= found.frames / found.fps
    assert " ".join(" ".join(cue.lines) for cue in got) == " ".join(text for text in TEXTS if text)
    third = next(cue for cue in got if cue.lines[0].startswith("A very")).start
    assert third == found.events[3].start / found.fps
    shown = got[1].end
    assert found.events[1].end / found.fps - Fraction(1, 10) <= shown <= found.events[3].start / found.fps


def test_a_long_text_goes_on_over_silent_shots() -> None:
    texts = ("word " * 16, "", "", "Now somebody else.", "")
    first, second = cues(film(texts=texts, kinds=("",) * 5))
    assert float(first.end) == pytest.approx(len("word " * 16) / 20, abs=0.1) and first.end < Fraction(103, 24)
    assert second.start == Fraction(103, 24) and " ".join(first.lines) == " ".join(["word"] * 16)


def test_srt_and_vtt_have_their_form() -> None:
    first = srt(film()).split("\n\n")[0]
    assert first == "1\n00:00:00,000 --> 00:00:01,835\nThe fox walked through the snow."
    text = vtt(film())
    assert text.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.835\nThe fox")
    assert "It was &lt;cold&gt; &amp; dark: é." in text
    blocks = srt(film()).strip().split("\n\n")
    assert [block.split("\n")[0] for block in blocks] == [str(n) for n in range(1, len(blocks) + 1)]


def test_chapters_meet() -> None:
    found = film(Fraction(24000, 1001))
    got = chapters(found.events, found.fps)
    assert [a.end for a in got[:-1]] == [b.start for b in got[1:]] and got[-1].end == found.frames / found.fps
    assert got[0].title == "Shot 1: The fox walked through the snow." and got[2].title.startswith("Shot 3: prompt")
