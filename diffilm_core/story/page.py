"""A storyboard as one HTML page: the story with its shots as coloured spans, beside its cast, places and prompts."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from .storyboard import Shot, Storyboard

_STYLE = """
:root { color-scheme: light }
* { box-sizing: border-box }
body { margin: 0; font: 16px/1.6 Georgia, serif; color: #222; background: #fbfaf7 }
header { padding: 24px 32px 12px; border-bottom: 1px solid #ddd8cc }
h1 { margin: 0; font-size: 28px; font-weight: normal }
h2 { margin: 0 0 8px; font: 600 13px/1.4 system-ui, sans-serif; letter-spacing: .06em; text-transform: uppercase;
  color: #6b6558 }
.sums, aside, table { font: 14px/1.45 system-ui, sans-serif }
.sums { margin: 4px 0 0; color: #6b6558 }
main { display: grid; grid-template-columns: minmax(0, 1fr) 320px; gap: 32px; padding: 24px 32px; max-width: 1280px }
.story { white-space: pre-wrap; overflow-wrap: anywhere }
.shot { padding: 1px 2px; border-radius: 3px; background: hsl(var(--h) 65% var(--l)); color: inherit;
  text-decoration: none; box-decoration-break: clone; -webkit-box-decoration-break: clone }
.shot:hover, .shot:target { outline: 2px solid hsl(var(--h) 50% 45%) }
.shot sup { font: 600 10px system-ui, sans-serif; color: hsl(var(--h) 60% 28%); margin-right: 2px }
aside section { margin-bottom: 24px }
ul { list-style: none; margin: 0; padding: 0 }
li { padding: 6px 0; border-top: 1px solid #e6e1d5 }
small { color: #6b6558; display: block }
a { color: #3d5a80; text-decoration: none }
table { border-collapse: collapse; margin: 0 32px 48px; max-width: 1216px }
th { text-align: left; font-weight: 600; color: #6b6558 }
th, td { padding: 6px 12px 6px 0; border-top: 1px solid #e6e1d5; vertical-align: top }
tr:target td { background: #fff3c9 }
td:first-child { border-left: 6px solid hsl(var(--h) 55% 72%); padding-left: 10px; white-space: nowrap }
@media (max-width: 860px) { main { grid-template-columns: 1fr } }
"""


def storyboard_page(board: Storyboard, story: str = "") -> str:
    """The page, whole and self-contained. story: the text that the spans are of; without it the shots' own texts."""
    title = escape(board.title or "Storyboard")
    count = "1 shot" if len(board) == 1 else f"{len(board)} shots"
    sums = f"{count}, {board.duration:.1f} seconds" + (f", style: {escape(board.style)}" if board.style else "")
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f"<title>{title}</title>",
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{_STYLE}</style></head><body>",
            f'<header><h1>{title}</h1><p class="sums">{sums}</p></header>',
            f'<main><div class="story">{"".join(_story(board, story))}</div>',
            f"<aside>{_cast(board)}{_places(board)}</aside></main>",
            _table(board),
            "</body></html>\n",
        ]
    )


def _colour(shot: Shot) -> str:
    """A hue for each scene, two shades that alternate within it."""
    return f"--h:{(shot.scene * 137 + 40) % 360};--l:{(86, 78)[shot.index % 2]}%"


def _story(board: Storyboard, story: str) -> Iterator[str]:
    at = 0
    for shot in board.shots:
        start, end = shot.span
        known = start < end <= len(story)
        if known:
            yield escape(story[at:start])
            at = end
        elif shot.index:
            yield "\n\n"
        words = escape(story[start:end] if known else shot.text or shot.prompt)
        yield (
            f'<a class="shot" id="t{shot.index}" href="#s{shot.index}" style="{_colour(shot)}" '
            f'title="{escape(shot.prompt)}"><sup>{shot.index + 1}</sup>{words}</a>'
        )
    yield escape(story[at:])


def _links(shots: list[Shot], most: int = 40) -> str:
    links = [f'<a href="#t{shot.index}">{shot.index + 1}</a>' for shot in shots[:most]]
    return " ".join(links) + (f" and {len(shots) - most} more" if len(shots) > most else "")


def _cast(board: Storyboard) -> str:
    seen: dict[str, list[Shot]] = {member.id: [] for member in board.cast}
    for shot in board.shots:
        for who in shot.cast:
            seen[who].append(shot)
    items = [
        f"<li><b>{escape(member.name or member.id)}</b>"
        + (f"<small>{escape(member.description)}</small>" if member.description else "")
        + f"<small>{_links(seen[member.id]) or 'in no shot'}</small></li>"
        for member in board.cast
    ]
    return f"<section><h2>Cast</h2><ul>{''.join(items) or '<li>nobody known</li>'}</ul></section>"


def _places(board: Storyboard) -> str:
    places: dict[str, list[Shot]] = {}
    for shot in board.shots:
        if shot.place:
            places.setdefault(shot.place, []).append(shot)
    items = [f"<li><b>{escape(place)}</b><small>{_links(shots)}</small></li>" for place, shots in places.items()]
    return f"<section><h2>Places</h2><ul>{''.join(items) or '<li>none named</li>'}</ul></section>"


def _table(board: Storyboard) -> str:
    names = {member.id: member.name or member.id for member in board.cast}
    rows = []
    for shot in board.shots:
        cells = [
            f'<a href="#t{shot.index}">{shot.index + 1}</a>', f"{shot.duration:.1f} s",
            escape(", ".join(part for part in (shot.place, shot.time, shot.weather) if part)),
            escape(", ".join(names[who] for who in shot.cast)), escape(shot.camera), escape(shot.transition),
            escape(shot.prompt),
        ]  # fmt: skip
        cells = [f"<td>{cell}</td>" for cell in cells]
        rows.append(f'<tr id="s{shot.index}" style="{_colour(shot)}">{"".join(cells)}</tr>')
    heads = "".join(f"<th>{head}</th>" for head in ("Shot", "Length", "Where", "Cast", "Camera", "Begins", "Prompt"))
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
