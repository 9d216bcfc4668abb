"""The page of a report: one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING, Any

from .report import BINS, KEPT, Histogram, Report, Sample
from .settings import REASONS

if TYPE_CHECKING:
    from .run import Summary

WIDTH, HEIGHT, FOOT = 320, 90, 16
SAYS = {
    "short": "too few frames",
    "rate": "too few or too many frames a second",
    "small": "too few pixels",
    "still": "nothing moves, or next to nothing",
    "fast": "too much motion",
    "shaky": "the camera shakes",
    "text": "text covers too much",
    "bars": "black bars",
    "blurred": "not sharp",
    "plain": "aesthetic score too low",
    "mismatch": "the caption does not fit",
    "duplicate": "repeats a better shot",
}
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1d2329; background: #fff; margin: 2rem auto; max-width: 1080px;
  padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 0 .3rem } h2 { font-size: 1.15rem; margin: 2rem 0 .6rem }
table { border-collapse: collapse } td, th { text-align: left; padding: .2rem 1.2rem .2rem 0; vertical-align: top }
th { font-weight: 600; border-bottom: 1px solid #c8ced4 } td.n, th.n { text-align: right }
.bar { background: #d9722b; height: .7rem; display: inline-block }
.grid { display: flex; flex-wrap: wrap; gap: 1rem }
figure { margin: 0; width: 336px } figure img { display: block; max-width: 336px; background: #eee }
figcaption { font-size: 12px; color: #48525c; overflow-wrap: anywhere }
.fell { color: #b2520f } .quiet { color: #5d6872 } code { font-size: 13px }
svg text { font: 10px system-ui, sans-serif; fill: #48525c }
"""


def page(report: Report, summary: Summary, head: dict[str, Any]) -> str:
    """The whole page. `head`: the first line of the work file."""
    parts = [
        _top(summary, head), _reasons(report, summary), _broken(summary), _histograms(report, summary),
        _samples(report, summary), _thresholds(report),
    ]  # fmt: skip
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Curation of '
        f"{escape(head['folder'])}</title>\n<style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _top(summary: Summary, head: dict[str, Any]) -> str:
    share = summary.kept / summary.shots if summary.shots else 0
    missing = "".join(
        f'<p class="quiet">Not measured: {escape(name)}. It needs {escape(need)}.</p>'
        for name, need in summary.missing.items()
    )
    return (
        f"<h1>Curation of {escape(head['folder'])}</h1>\n<p><b>{summary.kept} of {summary.shots} shots stay</b> "
        f"({share:.0%}; {_time(summary.kept_seconds)} of {_time(summary.seconds)}), from {summary.files} files, "
        f"of which {sum(summary.broken_count.values())} could not be measured.</p>\n{missing}"
    )


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _reasons(report: Report, summary: Summary) -> str:
    most = max([1, *summary.fell.values()])
    rows = [
        f'<tr><td><a href="#{name}">{name}</a></td><td>{SAYS[name]}</td><td>{_bounds(report, name)}</td>'
        f'<td class="n">{summary.fell[name]}</td>'
        f'<td><span class="bar" style="width:{200 * summary.fell[name] / most:.0f}px"></span></td></tr>'
        for name in SAYS
        if summary.fell[name]
    ]
    if not rows:
        return "<h2>What fell</h2><p>Nothing.</p>"
    return (
        '<h2>What fell</h2>\n<table><tr><th>reason</th><th></th><th>bound</th><th class="n">shots</th><th></th></tr>\n'
        + "\n".join(rows)
        + '</table>\n<p class="quiet">A shot that falls for two reasons is in both lines.</p>'
    )


def _bounds(report: Report, reason: str) -> str:
    bounds = (
        f"{score} {'&lt;' if name.startswith('min') else '&gt;'} {getattr(report.thresholds, name):g}"
        for score, name in REASONS.get(reason, ())
        if getattr(report.thresholds, name) is not None
    )
    if reason == "duplicate":
        return f"{report.thresholds.duplicate_bits} of 64 bits or fewer differ"
    return " or ".join(bounds)


def _broken(summary: Summary) -> str:
    if not summary.broken:
        return ""
    rows = "\n".join(
        f"<tr><td>{escape(name)}</td><td>{escape(kind)}</td><td>{escape(reason)}</td></tr>"
        for name, kind, reason in summary.broken
    )
    counts = ", ".join(f"{count} {kind}" for kind, count in summary.broken_count.most_common())
    more = sum(summary.broken_count.values()) - len(summary.broken)
    rest = f"<p>And {more} more, which are in files.jsonl.</p>" if more else ""
    return (
        f"<h2>Files that could not be measured: {escape(counts)}</h2>\n<table><tr><th>file</th><th>kind</th>"
        f"<th>why</th></tr>\n{rows}</table>{rest}"
    )


def _histograms(report: Report, summary: Summary) -> str:
    figures = [
        f"<figure>{_svg(histogram, _lines(report, name))}<figcaption><b>{name}</b>: {escape(histogram.score.says)}"
        f"{' (' + escape(histogram.score.unit) + ')' if histogram.score.unit else ''}</figcaption></figure>"
        for name, histogram in report.histograms.items()
        if histogram.count
    ]
    return (
        '<h2>Scores</h2>\n<p class="quiet">Shots by score: <span style="color:#2f6db3">those that stay</span>, on them '
        '<span style="color:#d9722b">those that fall</span> for whatever reason; the line is a bound.</p>\n'
        f'<div class="grid">{"".join(figures)}</div>'
    )


def _lines(report: Report, score: str) -> list[float]:
    names = [name for bounds in REASONS.values() for each, name in bounds if each == score]
    return [value for name in names if (value := getattr(report.thresholds, name)) is not None]


def _svg(histogram: Histogram, lines: Sequence[float]) -> str:
    most = max(1, *(a + b for a, b in zip(histogram.kept, histogram.fell, strict=True)))
    step = WIDTH / BINS
    marks = [f'<rect x="{x:.1f}" y="{y:.1f}" width="{step - 1:.1f}" height="{h:.1f}" fill="{fill}"/>'
             for x, y, h, fill in _blocks(histogram, most, step)]  # fmt: skip
    marks += [
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{HEIGHT}" stroke="#1d2329" stroke-dasharray="3 2"/>'
        for x in (histogram.place(value) * WIDTH for value in lines)
    ]
    score = histogram.score
    middle = (score.low * score.high) ** 0.5 if score.log else (score.low + score.high) / 2
    marks += [
        f'<text x="{x}" y="{HEIGHT + 12}" text-anchor="{anchor}">{value:.4g}</text>'
        for x, anchor, value in ((0, "start", score.low), (WIDTH / 2, "middle", middle), (WIDTH, "end", score.high))
    ]
    axis = f'<line x1="0" x2="{WIDTH}" y1="{HEIGHT}" y2="{HEIGHT}" stroke="#9aa4ad"/>'
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT + FOOT}" width="{WIDTH}" height="{HEIGHT + FOOT}" role="img" '
        f'aria-label="histogram of {score.name}">{axis}{"".join(marks)}</svg>'
    )


def _blocks(histogram: Histogram, most: int, step: float) -> Iterator[tuple[float, float, float, str]]:
    for at, (kept, fell) in enumerate(zip(histogram.kept, histogram.fell, strict=True)):
        low = (HEIGHT - 4) * kept / most
        high = (HEIGHT - 4) * fell / most
        if kept:
            yield at * step, HEIGHT - low, low, "#2f6db3"
        if fell:
            yield at * step, HEIGHT - low - high, high, "#d9722b"


def _samples(report: Report, summary: Summary) -> str:
    parts = []
    for name, samples in report.samples.items():
        if samples:
            count = summary.kept if name == KEPT else summary.fell[name]
            title = f"{count} that stay" if name == KEPT else f"{name}: {count}"
            parts.append(
                f'<h2 id="{name}">{title}</h2>\n<div class="grid">{"".join(_figure(each) for each in samples)}</div>'
            )
    return "\n".join(parts)


def _figure(sample: Sample) -> str:
    data = base64.b64encode(sample.thumb).decode()
    why = f'<br><span class="fell">{escape(sample.fell)}</span>' if sample.fell else ""
    return (
        f'<figure><img alt="" src="data:image/jpeg;base64,{data}"><figcaption>{escape(sample.name)}{why}<br>'
        f'<span class="quiet">{escape(sample.scores)}</span></figcaption></figure>'
    )


def _thresholds(report: Report) -> str:
    lines = (
        f"{name} = {value}" if value is not None else f'{name} = "none"'
        for name, value in asdict(report.thresholds).items()
    )
    return (
        "<h2>Thresholds</h2>\n<p>Save them as a TOML file, change them, and decide again without measuring again: "
        "<code>diffilm curate -o DATASET --report --thresholds FILE.toml</code></p>\n"
        f"<pre>{escape(chr(10).join(lines))}</pre>"
    )
