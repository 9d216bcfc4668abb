"""What a beat shows: who does what, where and when, as far as the story was read."""

from __future__ import annotations

import bisect
import re

from .beats import Beat, Piece
from .clean import SPACE, TRAILING, clean_sentence, word_count
from .framing import TALK
from .phrases import PRONOUNS, article, head_noun, listed
from .prompts import LEADING, SUBJECT, Act, Figure, Picture, own_words
from .reading import Clause, Mention, Reading
from .storyboard import CastMember

QUOTED = re.compile(r"“[^“”]*”?|«[^«»]*»?|\"[^\"]*\"?|(?<![^\W_])[‘'](?=[A-Z])[^’']*[’'](?![^\W_])")
MOST_ACTS = 3
POSSESSIVES = listed("his her its their")
AFTER_HER = listed("and but or in on at to as with when while by for from into so then again away back up")


class Pictures:
    """The pictures of a reading's beats."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.members = {member.id: member for member in reading.cast}
        self.starts = [sentence.span[0] for sentence in reading.sentences]

    def of(self, beat: Beat, words: str, camera: str, style: str) -> Picture:
        """words: the beat's own, cleaned; they are its picture where nothing in it was understood."""
        if beat.verbatim:
            return Picture(acts=(self._told(beat, words, {}),), camera=camera, style=style)
        lead = beat.pieces[0].sentence
        cast = dict.fromkeys(who for piece in beat.pieces for who in piece.cast)
        figures = {who: self.figure(who, beat.start) for who in cast if who in self.members}
        acts: list[Act] = []
        for piece in beat.pieces:
            acts += self._acts(piece, figures)
        acts = _with_subject_first(list(dict.fromkeys(acts)))[:MOST_ACTS]
        if not any(piece.clauses for piece in beat.pieces):
            acts = [self._told(beat, words, figures)]
        shown = {figure for act in acts for figure in act.figures}
        said = " ".join(act.words for act in acts)
        others = tuple(f for who, f in figures.items() if f not in shown and not _named_in(said, self.members[who], f))
        return Picture(
            acts=tuple(acts),
            others=others,
            place=lead.place,
            time=lead.time,
            weather=lead.weather,
            camera=camera,
            style=style,
            close=own_words(words),
        )

    def figure(self, who: str, offset: int) -> Figure:
        """The member as it looks at that character of the story."""
        member = self.members[who]
        return figure_of(member, self.reading.description(who, offset) or member.description)

    def _acts(self, piece: Piece, figures: dict[str, Figure]) -> list[Act]:
        out: list[Act] = []
        for clause in piece.clauses:
            if not clause.filmed or not (action := _plain(clause.action)):
                continue
            subject = tuple(figures[who] for who in clause.subject if who in figures)
            if subject:
                out.append(Act(_talk(action, clause.verb), subject, clause.verb))
            elif not clause.subject and (own := self._own_subject(clause, action)):
                out.append(Act(f"{own} {action}"))
        return out

    def _own_subject(self, clause: Clause, action: str) -> str:
        """The clause's words before its predicate, where its subject is nobody of the cast: "the wind"."""
        words = self.resolved(*clause.span)
        words = SPACE.sub(" ", QUOTED.sub(" ", words)).strip()
        first = re.match(r"[^\W_]+", action)
        at = re.search(rf"(?<![^\W_]){re.escape(first.group())}(?![^\W_])", words, re.IGNORECASE) if first else None
        own = words[: at.start()].strip(TRAILING + "\"'“”‘’ ") if at else ""
        own = LEADING.sub("", own + " ", count=1).strip() if own else ""
        if not own or SUBJECT.fullmatch(own) or word_count(own) > 8 or own.split()[0].lower() in PRONOUNS - POSSESSIVES:
            return ""
        return own[0].lower() + own[1:] if own.split()[0] in ("The", "A", "An", "His", "Her", "Its", "Their") else own

    def _told(self, beat: Beat, words: str, figures: dict[str, Figure]) -> Act:
        """A beat without a verb that was understood: its own words, names in the place of pronouns."""
        if self.members:
            words = clean_sentence(" ".join(self.resolved(piece.start, piece.end) for piece in beat.pieces))
        return Act(own_words(words, next(iter(figures.values()), None)))

    def resolved(self, start: int, end: int) -> str:
        """The story between two characters with the names of the cast in the place of pronouns."""
        text, out, at = self.reading.text, "", start
        for mention in self.mentions(start, end):
            low, high = mention.span
            word = text[low:high].lower()
            if mention.kind != "pronoun" or mention.member not in self.members or word not in PRONOUNS or low < at:
                continue
            if word.endswith(("self", "selves")):
                continue
            after = re.match(r"\s+([a-z]+)", text[high : high + 24])
            owns = word in POSSESSIVES and (word != "her" or (after is not None and after[1] not in AFTER_HER))
            out += text[at:low] + self.figure(mention.member, start).name + ("'s" if owns else "")
            at = high
        return out + text[at:end]

    def mentions(self, start: int, end: int) -> list[Mention]:
        """Those between two characters, in order."""
        out: list[Mention] = []
        at = max(0, bisect.bisect_right(self.starts, start) - 1)
        while at < len(self.starts) and self.starts[at] < end:
            found = self.reading.sentences[at].mentions
            out += [mention for mention in found if start <= mention.span[0] and mention.span[1] <= end]
            at += 1
        return sorted(out, key=lambda mention: mention.span)


def figure_of(member: CastMember, looks: str) -> Figure:
    """How a member is named in prompts. looks: its description, "" where there is none."""
    called = member.name or next(iter(member.aliases), "") or member.kind
    name = SPACE.sub(" ", called).strip() or "figure"
    proper = name[0].isupper() and not name.lower().startswith(("the ", "a ", "an "))
    looks = SPACE.sub(" ", looks).strip(TRAILING)
    short = name if proper or name.split()[0].lower() in ("the", "a", "an") else f"the {name}"
    if not looks:
        return Figure(short, name if proper else article(name))
    if head_noun(name) in re.findall(r"[^\W_]+", looks.lower()) or name.lower() in looks.lower():
        return Figure(short, looks if proper and name in looks else article(looks))
    return Figure(short, f"{name}, {article(looks)}," if proper else f"{article(name)}, {looks},")


def _plain(action: str) -> str:
    """The predicate without what is said in it, and without punctuation around it."""
    return SPACE.sub(" ", QUOTED.sub(" ", action)).strip(TRAILING + "\"'!?“”‘’ ")


def _talk(action: str, verb: str) -> str:
    """Bare "said" is "talks": what is said cannot be seen."""
    return "talks" if verb in TALK and word_count(action) == 1 else action


def _with_subject_first(acts: list[Act]) -> list[Act]:
    """Acts of the cast before those of things, else in the story's order."""
    return sorted(acts, key=lambda act: not act.figures)


def _named_in(said: str, member: CastMember, figure: Figure) -> bool:
    names = [head_noun(name) for name in (member.name, *member.aliases, figure.full) if name]
    return any(name and re.search(rf"(?<![^\W_]){re.escape(name)}", said.lower()) for name in names)
