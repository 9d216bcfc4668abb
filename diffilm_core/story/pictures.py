"""What a beat shows: who does what, where and when, as far as the story was read."""

from __future__ import annotations

import bisect
import re

from .beats import Beat, Piece
from .clean import SPACE, TRAILING, clean_sentence, word_count
from .framing import TALK
from .lexicon import these
from .phrases import DETERMINERS, PRONOUNS, article, head_noun
from .prompts import Act, Figure, Picture, own_words
from .reading import Clause, Mention, Reading
from .storyboard import CastMember

QUOTED = re.compile(r"“[^“”]*”?|«[^«»]*»?|\"[^\"]*\"?|(?<![^\W_])[‘'](?=[A-Z])[^’']*[’'](?![^\W_])")
NEGATED = re.compile(r"\b(?:not|never|no|nobody|nothing)\b|n['’]t\b", re.IGNORECASE)
ALSO = re.compile(
    r"((?:a|an|the|two|three|some|his|her|their)\s+(?:[^\W\d_][\w'’-]*\s+){0,3}[\w'’-]+)\s+and\s+$", re.IGNORECASE
)
BETWEEN = re.compile(r"\s*(?:,|and|,\s*and)\s+", re.IGNORECASE)
LONE = re.compile(r"(?:a man|a woman|something|people)\b")  # a pronoun that nobody is known for
MANY = these("two three four five six seven eight nine ten some several many few all both these those")
TAIL = re.compile(
    r"(?:[\s,;:—–-]+(?:and|but|so|then|or|while|when|until|because|as|for|that|who|which|if))+$", re.IGNORECASE
)
MOST_ACTS = 3
ARTICLES = these("The A An His Her Its Their Some Two Three One")
BARE_TALK = these("say ask reply answer remark add continue repeat exclaim declare explain observe tell")
POSSESSIVES = these("his her its their")
AFTER_HER = these("and but or in on at to as with when while by for from into so then again away back up")


class Pictures:
    """The pictures of a reading's beats."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.members = {member.id: member for member in reading.cast}
        self.starts = [sentence.span[0] for sentence in reading.sentences]

    def of(self, beat: Beat, words: str, camera: str, style: str) -> Picture:
        """words: the beat's own, cleaned; they are its picture where nothing in it was understood."""
        if beat.verbatim:
            return Picture(acts=(Act(own_words(words)),), camera=camera, style=style)
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
        said = " ".join(word for act in acts for word in (*(figure.full for figure in act.figures), act.words))
        others = tuple(f for who, f in figures.items() if f not in shown and not _named_in(said, self.members[who], f))
        return Picture(
            acts=tuple(acts),
            others=others,
            pair=_pair(acts, [figure for figure in figures.values() if figure not in others]),
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
            within = (c.span[0] for c in piece.clauses if clause.span[0] < c.span[0] < clause.span[1])
            span = (max(clause.span[0], piece.start), min(clause.span[1], piece.end, *within))
            if span[0] >= span[1] or not self._is_seen(clause, span, piece):
                continue
            act = self._of_cast(clause, span, piece, figures) if clause.subject else self._of_things(span)
            if act is not None and (act.words or act.figures):
                out.append(act)
        return out

    def _is_seen(self, clause: Clause, span: tuple[int, int], piece: Piece) -> bool:
        """What is filmed; and whoever is seen and talks is seen talking, unless it is denied."""
        if clause.filmed:
            return True
        heard = clause.verb in TALK and any(who in piece.cast for who in clause.subject)
        return heard and not NEGATED.search(self.reading.text[slice(*span)])

    def _of_cast(self, clause: Clause, span: tuple[int, int], piece: Piece, figures: dict[str, Figure]) -> Act | None:
        """The clause with figures for its subject: what stands behind the subject is the predicate."""
        who = [name for name in clause.subject if name in self.members]
        if not who:
            return None
        shown = tuple(figures.get(name) or self.figure(name, span[0]) for name in who)
        found = [m for m in self.mentions(*span) if m.member in who]
        last = self._subject_end(found, span) if found else None
        if last is None:
            return Act(_talk(_plain(clause.action), clause.verb), shown, clause.verb)
        rest = _plain(self.resolved(last.span[1], span[1]))
        first = found[0]
        text = self.reading.text
        if clause.verb in TALK and re.search(r"[^\W\d_]", QUOTED.sub("", text[span[0] : first.span[0]]).strip()[-12:]):
            rest = f"talks {rest}".strip()  # "said the fox": the verb stands before its subject
        if len(shown) == 1 and first.kind == "description":
            shown = (self._as_written(first, shown[0]),)
        alone = not any(c.span[0] < clause.span[0] for c in piece.sentence.clauses)
        together = ALSO.search(text, piece.sentence.span[0], first.span[0])
        if alone and together is not None and together[1].split()[0].lower() not in PRONOUNS:
            words = _lower_article(SPACE.sub(" ", together[1]))
            shown = (Figure(words, words), *shown)
        return Act(_talk(rest, clause.verb), shown, clause.verb)

    def _subject_end(self, found: list[Mention], span: tuple[int, int]) -> Mention | None:
        """The last mention of a subject that begins the clause: "Mary and Rex" is one subject."""
        last = found[0]
        for mention in found[1:]:
            if not BETWEEN.fullmatch(self.reading.text[last.span[1] : mention.span[0]]):
                break
            last = mention
        return last if last.span[1] <= span[1] else None

    def _as_written(self, mention: Mention, figure: Figure) -> Figure:
        """The words of the story where the member has no description of its own: "a brown bear"."""
        words = SPACE.sub(" ", self.reading.text[slice(*mention.span)]).strip(TRAILING)
        plain = len(figure.full.split()) <= 2
        if not plain or not 1 < word_count(words) <= 6 or words.split()[0].lower() in PRONOUNS:
            return figure
        return Figure(figure.name, _lower_article(words))

    def _of_things(self, span: tuple[int, int]) -> Act | None:
        """A clause whose subject is nobody of the cast, in its own words: "the wind blows over the hill"."""
        words = own_words(_plain(self.resolved(*span)))
        return Act(_lower_article(words)) if word_count(words) > 1 and not LONE.match(words) else None

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


def _pair(acts: list[Act], named: list[Figure]) -> tuple[Figure, ...]:
    """The one subject of the first act, and the first other of those named who is one; else nobody. Who are one
    subject already ("a rabbit and the fox run") are told as they are."""
    if not acts or len(acts[0].figures) != 1 or acts[0].words.startswith("and "):
        return ()
    (subject,) = acts[0].figures
    others = [figure for figure in named if figure.name != subject.name and _is_one(figure)]
    return (subject, others[0]) if others and _is_one(subject) else ()


def _is_one(figure: Figure) -> bool:
    """ "a fox", "Tom"; not "bears", "Three bears"."""
    first = figure.full.split()[0]
    return first.lower() in ("a", "an", "the", "one") or (first[0].isupper() and first.lower() not in MANY)


def figure_of(member: CastMember, looks: str) -> Figure:
    """How a member is named in prompts. looks: its description, "" where there is none."""
    called = member.name or next(iter(member.aliases), "") or member.kind
    name = SPACE.sub(" ", called).strip() or "figure"
    bare = re.sub(r"^(?:the|a|an)\s+(?=\S)", "", name, flags=re.IGNORECASE)
    proper = bare == name and name[0].isupper()
    name = bare
    looks = SPACE.sub(" ", looks).strip(TRAILING)
    short = name if proper else name if name.split()[0].lower() in DETERMINERS else f"the {name}"
    if not looks:
        return Figure(short, name if proper else article(name))
    if head_noun(name) in re.findall(r"[^\W_]+", looks.lower()) or name.lower() in looks.lower():
        return Figure(short, looks if proper and name in looks else article(looks))
    return Figure(short, f"{name}, {article(looks)}," if proper else f"{article(name)}, {looks},")


def _plain(action: str) -> str:
    """The predicate without what is said in it, and without punctuation or a joining word at its ends."""
    words = SPACE.sub(" ", QUOTED.sub(" ", action)).strip(TRAILING + "\"'!?“”‘’ ")
    return TAIL.sub("", words).strip(TRAILING + "\"'!?“”‘’ ")


def _talk(action: str, verb: str) -> str:
    """ "said to the owl" is "talks to the owl": what is said cannot be seen."""
    words = action.split()
    if verb in TALK and not words:
        return "talks"
    if verb == "say" and words[0].lower() in ("said", "says", "say"):
        return " ".join(["talks", *words[1:]])
    return "talks" if verb in BARE_TALK and len(words) == 1 else action


def _lower_article(words: str) -> str:
    first = words.split()[0] if words else ""
    return words[0].lower() + words[1:] if first in ARTICLES else words


def _with_subject_first(acts: list[Act]) -> list[Act]:
    """Acts of the cast before those of things, else in the story's order."""
    return sorted(acts, key=lambda act: not act.figures)


def _named_in(said: str, member: CastMember, figure: Figure) -> bool:
    names = [head_noun(name) for name in (member.name, *member.aliases, figure.full) if name]
    return any(name and re.search(rf"(?<![^\W_]){re.escape(name)}", said.lower()) for name in names)
