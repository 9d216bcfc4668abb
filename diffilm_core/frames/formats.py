"""The one table of what a film can be written as; the checks, the writers, the command and the nodes go by it.

The same frames give the same bytes with every codec here, on one machine: their threads are fixed, and what makes
their output differ is off (x264's macroblock tree and x265's cutree, whose AVX-512 code gives other bytes from run to
run; the random numbers in Matroska's headers).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import DiffilmError

THREADS = 4
"""Of an encoder: fixed, since x264's rate control sees them."""


@dataclass(frozen=True)
class Codec:
    """How pictures are coded. `pixels`: FFmpeg's pixel format by bits of a value, the usual one first.

    quality: best, worst and usual value of `crf`, None where there is nothing to choose; `quality_option` is FFmpeg's
    name of it. delay: frames by which decoding runs ahead, where the encoder's own times cannot be trusted (x265 leaves
    them unset in clips of 1 or 2 frames). least: the smallest side in pixels. web: whether Chromium plays it, in
    each format that holds it (HEVC it does not on Linux).
    """

    name: str
    says: str
    encoder: str
    pixels: Mapping[int, str]
    quality: tuple[int, int, int] | None = None
    quality_option: str = "crf"
    options: Mapping[str, str] = field(default_factory=dict)
    tag: str = ""
    delay: int | None = None
    least: int = 1
    lossless: bool = False
    web: bool = False


CODECS = {
    codec.name: codec
    for codec in (
        Codec(
            "h264", "H.264", "libx264", {8: "yuv420p", 10: "yuv420p10le"}, (0, 51, 18),
            options={"preset": "medium", "mbtree": "0"}, web=True,
        ),
        Codec(
            "hevc", "HEVC", "libx265", {10: "yuv420p10le", 8: "yuv420p"}, (0, 51, 18), tag="hvc1", delay=2, least=16,
            options={"preset": "medium", "x265-params": "log-level=error:frame-threads=1:cutree=0"},
        ),
        Codec(
            "av1", "AV1", "libsvtav1", {10: "yuv420p10le", 8: "yuv420p"}, (0, 63, 10), least=4, web=True,
            options={"preset": "8", "svtav1-params": f"lp={THREADS}"},
        ),
        Codec(
            "vp9", "VP9", "libvpx-vp9", {8: "yuv420p"}, (0, 63, 20), web=True,
            options={"b": "0", "row-mt": "1", "deadline": "good", "cpu-used": "3"},
        ),
        Codec("prores", "ProRes 422 HQ", "prores_ks", {10: "yuv422p10le"}, options={"profile": "3", "vendor": "apl0"}),
        Codec(
            "prores4444", "ProRes 4444", "prores_ks", {10: "yuv444p10le"}, options={"profile": "4", "vendor": "apl0"}
        ),
        Codec(
            "ffv1", "FFV1 (RGB)", "ffv1", {10: "gbrp10le", 8: "bgr0", 16: "gbrp16le"}, lossless=True,
            options={"level": "3", "slices": "4", "slicecrc": "1", "g": "1"},
        ),
        Codec("gif", "256 colours", "gif", {8: "pal8"}, web=True),
        Codec(
            "webp", "lossy", "libwebp", {8: "yuv420p"}, (0, 99, 14), "quality",
            options={"compression_level": "4", "preset": "icon"}, web=True,
        ),
        Codec(
            "webp-lossless", "lossless", "libwebp", {8: "bgra"}, lossless=True,
            options={"lossless": "1", "compression_level": "4"}, web=True,
        ),
        Codec("apng", "lossless", "apng", {8: "rgb24", 16: "rgb48be"}, lossless=True, web=True),
        Codec("png", "lossless", "png", {8: "rgb24", 16: "rgb48be"}, lossless=True),
        Codec(
            "exr", "linear light, half or float", "exr", {16: "gbrpf32le", 32: "gbrpf32le"}, lossless=True,
            options={"compression": "zip16"},
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Format:
    """A kind of file.

    codecs: what it holds, the usual one first. audio: FFmpeg's encoder of its sound, "" for none.
    kind: "video" (packets in a container), "animation" (a picture that moves), "frames" (a folder of pictures).
    """

    suffix: str
    says: str
    container: str
    codecs: tuple[str, ...]
    audio: str = ""
    kind: str = "video"


FORMATS = {
    form.suffix: form
    for form in (
        Format(".mp4", "MP4", "mp4", ("h264", "hevc", "av1"), "aac"),
        Format(".mov", "QuickTime", "mov", ("prores", "prores4444", "h264", "hevc"), "pcm_s16le"),
        Format(".webm", "WebM", "webm", ("vp9", "av1"), "libopus"),
        Format(".mkv", "Matroska", "matroska", ("ffv1", "h264", "hevc", "av1", "vp9"), "flac"),
        Format(".gif", "GIF", "gif", ("gif",), kind="animation"),
        Format(".webp", "WebP", "webp", ("webp", "webp-lossless"), kind="animation"),
        Format(".apng", "animated PNG", "apng", ("apng",), kind="animation"),
        Format(".png", "a folder of PNG frames", "image2", ("png",), kind="frames"),
        Format(".exr", "a folder of OpenEXR frames", "image2", ("exr",), kind="frames"),
    )
}


@dataclass(frozen=True)
class Encoding:
    """A format, a codec and its settings, all checked."""

    form: Format
    codec: Codec
    bits: int
    crf: int | None

    @property
    def pixels(self) -> str:
        return self.codec.pixels[self.bits]

    def options(self) -> dict[str, str]:
        """The encoder's options, as FFmpeg takes them."""
        chosen = dict(self.codec.options)
        if self.crf is not None:
            value = 100 - self.crf if self.codec.quality_option == "quality" else self.crf
            chosen[self.codec.quality_option] = str(value)
        if self.codec.name == "exr":
            chosen["format"] = "half" if self.bits == 16 else "float"
        return chosen

    def key(self) -> dict[str, Any]:
        """What decides the bytes besides the frames, for keys."""
        import av

        return {
            "codec": self.codec.encoder, "pixels": self.pixels, "threads": THREADS, "av": av.__version__,
            **self.options(),
        }  # fmt: skip

    def segment_suffix(self) -> str:
        """The suffix of a container that keeps this codec's packets until they are joined."""
        return next(suffix for suffix in (".mp4", ".mov", ".mkv") if self.codec.name in FORMATS[suffix].codecs)

    def check_size(self, width: int, height: int) -> None:
        """Raises DiffilmError for frames that the codec cannot hold."""
        if min(width, height) < self.codec.least:
            raise DiffilmError(
                f"frames of {width}x{height} for {self.codec.says}: expected at least {self.codec.least} pixels a "
                "side; scale them up or choose another codec"
            )


def suffix_of(path: Path) -> str:
    return path.suffix.lower()


def encoding(path: Path, codec: str = "", bits: int = 0, crf: int | None = None) -> Encoding:
    """What `path` (as `check_output` gives it) is written as; `codec` "", `bits` 0, `crf` None: the usual ones.

    Raises DiffilmError for a codec or bits that the format does not hold, a crf out of range or for a codec without
    one, and an encoder that this build of PyAV lacks.
    """
    form = FORMATS[suffix_of(path)]
    name = codec or form.codecs[0]
    if name not in form.codecs:
        raise DiffilmError(
            f"codec {name!r} for {path.name}: a {form.suffix} holds {', '.join(form.codecs)}; choose one of these or "
            "another suffix"
        )
    chosen = CODECS[name]
    if bits and bits not in chosen.pixels:
        raise DiffilmError(
            f"{bits} bits for {path.name}: {chosen.name} is written with {_or(sorted(chosen.pixels))}; choose "
            "such bits or another codec"
        )
    if crf is not None and chosen.quality is None:
        raise DiffilmError(f"crf {crf} for {path.name}: {chosen.name} has no such setting; leave it out")
    if chosen.quality is not None:
        best, worst, usual = chosen.quality
        crf = usual if crf is None else crf
        if not best <= crf <= worst:
            raise DiffilmError(
                f"crf {crf}: expected {best} (best) to {worst} (smallest) for {chosen.name}; {usual} is hard to tell "
                "from the original"
            )
    if not available(chosen.encoder):
        other = _or([each for each in form.codecs if available(CODECS[each].encoder)])
        raise DiffilmError(
            f"codec {chosen.name}: this PyAV was built without {chosen.encoder}; `pip install -U av` brings one with "
            f"it, or choose {other or 'another format'}"
        )
    return Encoding(form, chosen, bits or next(iter(chosen.pixels)), crf)


@lru_cache(maxsize=32)
def available(encoder: str) -> bool:
    """Whether this PyAV can write with FFmpeg's encoder of that name."""
    import av

    try:
        av.Codec(encoder, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def _or(values: list[Any]) -> str:
    return " or ".join(", ".join(str(value) for value in values).rsplit(", ", 1))


def codec_names() -> list[str]:
    """The codecs of formats that have a choice, for option lists."""
    return list(dict.fromkeys(name for form in FORMATS.values() if len(form.codecs) > 1 for name in form.codecs))
