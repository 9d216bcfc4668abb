"""How surely a sentence says that its scene is at a place it names.

Scale: 4 somebody goes there, 3 somebody is there in a clause of the narration, 2 it is shown or met, 1 it is named
where it could be the scene (taken only where none is known), 0 not, -1 it is left.
"""

from __future__ import annotations

from collections.abc import Sequence

from .clauses import is_negated
from .entities import Noun
from .lexicon import these, words
from .parse import Token

AT = these(
    "in into inside within on onto upon at by near beside under beneath behind through across along among"
    " over up down above below outside around round between before aboard amid amidst amongst past"
)
ARRIVE = these("enter reach approach visit cross climb ascend descend pass leave quit")
PERCHES = these(
    "tree branch bough log stump rock stone bush haystack trunk twig window door roof table chair stool seat bench"
    " sofa bed desk counter carpet rug fire"
)
PARTS = these(
    "edge side bottom top middle foot end entrance corner mouth bank heart midst depth centre center brink"
    " shore front back step threshold wave shade stretch strip expanse"
    " outskirt border interior heap pile clump cluster"
)
SURFACE = these(
    "ground floor world wall space heaven heavens hold ship-board flat stage fall spring common earth land sky air"
)
NOWHERE = these("air world earth space sky heaven heavens kingdom hell paradise")  # "voices in the air"
LOOSE = these("grass snow sand wood country ice mud")  # a place where one is in it, with an article
POSTURE = these(
    "sit stand lie kneel crouch live dwell sleep hide wait rest perch nestle squat hang stay remain halt pause stop"
)
INTO = these("into through across along up down under beneath behind beside over onto among amongst above past")
MOVES = words("verb.motion") - {"send"} | these(
    "start turn push press plunge plod stagger stride stalk pace tramp trudge scramble bound spring sweep slide glide"
    " hasten wade skip hop row paddle speed saunter amble stumble ramble roam limp scurry scamper scuttle lope"
    " rise soar scatter disperse get strut parade prance shuffle sidle waddle hobble dive slink sneak skulk toil"
    " swagger tiptoe canter clamber lumber tread wriggle flit flutter hurtle withdraw adjourn retreat emerge land"
    " embark vanish"
)
SAME_IN_PAST = these("put set cut let hit hurt shut spread cast thrust burst beat cost split read rid shed spit")
STROLLS = these(
    "walk ride drive journey voyage march climb flight run trip visit return ramble stroll remove move step"
)
KNOWN_AT = words("verb.thought", "verb.speech") | these("know bear educate name call make build buy")
SPOTS = these("by beside near under beneath underneath behind against")
STANDS = these("sit stand lie kneel crouch lean squat")
ABSTRACT = ("ness", "ion", "ment", "ity", "ance", "ence", "cy", "ship", "ure", "ism")
PATH = these("by past over across along up down")
PUTS = these("get put lay place throw cast thrust drop stuff pour pack fling toss hide pop shove hang")
SIGHT = these("sight view search quest direction")
EVENTS = these("ball dance fair wedding feast party concert opera funeral market play")
MAYBE = these("perhaps maybe possibly probably")
BE = these("is are was were be been being am had has have")
HABIT = these("every each always often usually seldom generally commonly nightly")
UNDONE = these("before of from about without for against than")  # before "going": it is only spoken or thought of
SHOWN = these("be stand lie grow stretch")
SEEN = these("see find perceive spy espy descry behold discover")
TURNS = these("turn raise lift direct stretch fix cast bend")
LOOKED = these("at on upon over to across through into up down")
LOOKS = words("verb.look") | {"point", "look"}
FIGURES = these("stage hold spring fall common flat")  # "reached a stage"
EYES = these("eye gaze glance look")
BESIDE_NOUN = AT - {"into"}  # "a man in the garden", not "outings into the country"
LAND = words("outdoor") | words("indoor")


def evidence(tokens: Sequence[Token], noun: Noun) -> int:
    """How surely the scene is at this place."""
    strength = _strength(tokens, noun)
    if strength == 1 and noun.lemma in NOWHERE:
        return 0
    if strength < 3 and noun.lemma == "hole" and noun.determiner == "a" and _is_in_thing(tokens, noun):
        return 0
    if strength <= 0 or noun.verb < 0:
        return strength
    verb = tokens[noun.verb]
    kids = {tokens[c].low for c in verb.children}
    goes, stays = verb.lemma in MOVES | ARRIVE, verb.lemma in POSTURE | {"be"}
    if verb.tag == "VBN" and verb.lemma in KNOWN_AT and not kids & BE:
        return 0  # "a lady known at the farm"
    if _is_habit(tokens, verb):
        return 1
    if _is_undone(tokens, verb) or kids & MAYBE:
        return 0  # "dreamed of falling into the sea"
    if verb.lemma == "be" and verb.dep == "advcl" and "when" in kids and "had" in _auxiliaries(tokens, verb.head):
        return 0  # "she had never seen him so when she was in the town"
    if verb.dep == "ccomp" and tokens[verb.head].tag == "VBD" and told_before(tokens, verb.index):
        return 0  # "he made out that Tom had gone to the inn"
    if told_before(tokens, verb.index):
        return min(strength, 3 if goes or stays else 1)  # "had met him at the inn"
    before = any(tokens[c].low == "before" and tokens[c].dep == "mark" for c in verb.children)
    if goes and before and not is_negated(tokens, verb.head):
        return 0  # "before he reached the houses"; but "he had not gone far before he came to a wood"
    # the parser hangs "when he came" on a name before it, and "she came" on "when she had walked a mile"
    relative = verb.dep == "relcl" and "when" not in kids and tokens[verb.head].dep != "npadvmod"
    if relative or (verb.dep == "acl" and verb.tag == "VBN" and tokens[verb.head].dep != "ROOT"):
        return 1
    if verb.dep == "acl" and not goes:
        return int(strength > 1 or stays)  # "a deer grazing in the meadow"
    return strength


def _is_in_thing(tokens: Sequence[Token], noun: Noun) -> bool:
    """ "a hole in his coat" """
    inner = [tokens[g] for c in tokens[noun.head].children if tokens[c].low == "in" for g in tokens[c].children]
    return any(t.dep == "pobj" and t.lemma not in LAND | PARTS | PERCHES for t in inner)


def _is_undone(tokens: Sequence[Token], verb: Token) -> bool:
    return verb.dep == "pcomp" and tokens[verb.head].low in UNDONE


def is_home(tokens: Sequence[Token], noun: Noun) -> bool:
    """Whether somebody's house is named by him alone: "to the baker's"."""
    after = tokens[noun.last + 1] if noun.last + 1 < len(tokens) else None
    owns = after is not None and after.low in ("'s", "’s") and after.tag == "POS"
    return owns and noun.animacy == "person" and noun.role == "oblique" and noun.preposition in ("to", "at", "from")


def is_event(tokens: Sequence[Token], noun: Noun) -> bool:
    """Whether somebody goes to, or is at, what many come together for: "went to the ball"."""
    there = noun.lemma in EVENTS and noun.preposition in ("to", "at") and noun.determiner != "" and noun.verb >= 0
    return there and tokens[noun.verb].lemma in MOVES | {"be"}


def is_spot(tokens: Sequence[Token], noun: Noun) -> bool:
    """Whether somebody stands or sits by a thing: "standing by the obelisk"."""
    if noun.animacy != "thing" or noun.kind == "name" or noun.plural or noun.determiner not in ("the", "a"):
        return False
    if noun.preposition not in SPOTS or noun.verb < 0 or noun.lemma.endswith(ABSTRACT):
        return False
    if noun.lemma in PARTS:
        return False
    bodily = noun.lemma in words("body", "clothes", "weather", "time", "room.words")
    return not bodily and tokens[noun.verb].lemma in STANDS and tokens[tokens[noun.head].head].head == noun.verb


def narrates_now(tokens: Sequence[Token], noun: Noun) -> bool:
    """Whether the clause of a noun is in the present tense."""
    at = noun.verb
    for _ in range(8):
        if at < 0:
            return False
        token = tokens[at]
        kin = [token, *(tokens[c] for c in token.children if tokens[c].dep in ("aux", "auxpass"))]
        if any(t.tag in ("VBD", "MD") for t in kin):
            return False
        subject = any(tokens[c].dep in ("nsubj", "nsubjpass", "expl") for c in token.children)
        if any(t.tag == "VBZ" or (t.tag == "VBP" and subject and t.low not in SAME_IN_PAST) for t in kin):
            return True
        if token.head == at:
            return False
        at = token.head
    return False


def _auxiliaries(tokens: Sequence[Token], verb: int) -> set[str]:
    return {tokens[c].low for c in tokens[verb].children if tokens[c].dep in ("aux", "auxpass")}


def told_before(tokens: Sequence[Token], verb: int) -> bool:
    """Whether a clause tells what had been before: "he had met him at the inn"."""
    at = verb
    for _ in range(4):
        token = tokens[at]
        kin = _auxiliaries(tokens, at)
        if kin or token.dep != "conj" or any(tokens[c].dep == "nsubj" for c in token.children):
            return "had" in kin and token.tag == "VBN" and tokens[verb].tag in ("VBN", "VBD")
        at = token.head
    return False


def _strength(tokens: Sequence[Token], noun: Noun) -> int:
    if noun.role == "oblique":
        return _oblique(tokens, noun)
    verb = tokens[noun.verb] if 0 <= noun.verb < len(tokens) else None
    if verb is None:
        return 0
    if noun.role == "object" and verb.lemma in ARRIVE and noun.lemma in FIGURES:
        return 0
    if noun.role == "object" and verb.lemma in ARRIVE:
        return -1 if verb.lemma in ("leave", "quit") else 4
    before = tokens[noun.first - 1].low if noun.first else ""
    if noun.role == "object" and verb.lemma in MOVES and before in INTO and not is_negated(tokens, noun.verb):
        return 4  # "rode up the mountain"
    if noun.role == "object" and verb.lemma in SEEN and noun.determiner == "a":
        return 2
    if noun.role == "subject" and noun.lemma not in PERCHES:
        kids = {tokens[c].low for c in verb.children}
        if "there" in kids and is_negated(tokens, noun.verb):
            return 0  # "there was not a hut"
        if verb.lemma == "be" and "where" in kids:
            return 0  # "asked where the hall was"
        ground = SURFACE | words("weather") | {"moon", "planet"}
        told = noun.determiner or noun.plural or noun.kind == "name"  # not "grass grows over it"
        if verb.lemma in SHOWN and noun.lemma not in ground and told:
            return 2
        definite = noun.determiner == "the" and not noun.plural and noun.lemma in LAND - ground
        return int(definite and verb.lemma not in MOVES and not is_negated(tokens, noun.verb))
    return 0


def _oblique(tokens: Sequence[Token], noun: Noun) -> int:
    verb = tokens[noun.verb] if 0 <= noun.verb < len(tokens) else None
    moving = verb is not None and verb.lemma in MOVES
    preposition = noun.preposition
    token = tokens[noun.head]
    owner = tokens[tokens[token.head].head]
    chain = _prepositions(tokens, token)
    if preposition in ("from", "of") or "from" in chain:
        return _from_or_of(tokens, noun, chain, moving)
    if verb is not None and _is_anyone(tokens, verb):
        return 0
    if owner.pos in ("NOUN", "PROPN", "PRON"):
        looks = verb is not None and _looks(tokens, verb) and preposition in LOOKED
        if looks and owner.dep == "pobj" and tokens[owner.head].low in LOOKED:
            return 0  # "gazing through the window over the slopes"
        return _beside_noun(tokens, noun, owner, verb)
    if verb is not None and _looks(tokens, verb) and preposition in LOOKED:
        return 0
    if verb is not None and is_negated(tokens, verb.index):
        return 0
    if preposition == "to" and verb is not None and verb.lemma == "be":
        named = {tokens[c].lemma for c in verb.children if tokens[c].dep == "nsubj"}
        return 4 if named & STROLLS else 0  # "their next walk was to the house"
    if preposition == "to" and not _is_goal(noun, verb):
        return 0
    if preposition == "to" and verb is not None and verb.tag == "VBG" and _goes_on(tokens, verb):
        return 0  # "was running to his kennel, when": not there yet
    if preposition == "to":
        return 4 if moving and owner.pos in ("VERB", "AUX", "ADV", "ADP", "ADJ") else 0
    if (preposition not in AT and not (preposition == "about" and moving)) or (
        preposition == "at" and noun.determiner == "" and noun.lemma == "bay"
    ):
        return 0
    surface = (
        noun.lemma in SURFACE
        and (not noun.plural or noun.lemma == "wall")
        and noun.kind != "name"
        and preposition != "at"
    )
    if noun.lemma == "air" and moving and verb is not None:
        surface = any(tokens[c].dep == "dobj" for c in verb.children)  # "rose in the air", not "threw it in the air"
    weak = surface or noun.lemma in PERCHES
    if verb is not None and verb.lemma in PUTS and any(tokens[c].dep == "dobj" for c in verb.children):
        if told_before(tokens, verb.index):
            return 0  # "had put it in a corner"
        weak = True  # "put it into the cupboard": only the thing
    if noun.lemma in LOOSE and (noun.determiner == "" or preposition in ("on", "upon")):
        weak = True
    known = noun.animacy in ("place", "person") or noun.lemma in PARTS | EVENTS
    if weak or (not known and not moving):
        return 1
    if verb is not None and verb.lemma in SHOWN:
        spot = {tokens[c].lemma for c in verb.children if tokens[c].dep == "nsubj"}
        if spot & (LAND | PARTS):
            return 1  # "the room lay at the end of the passage": in the room
    goal = moving and preposition not in PATH
    return 4 if goal or preposition in ("into", "through") else 3


def _is_anyone(tokens: Sequence[Token], verb: Token) -> bool:
    """ "one seemed to float, seated in a boat", "you could sit in the garden": what anybody may do."""
    for _ in range(6):
        if any(tokens[c].low in ("you", "one") and tokens[c].dep == "nsubj" for c in verb.children):
            return True
        if verb.dep not in ("xcomp", "acl", "advcl", "conj") or any(tokens[c].dep == "nsubj" for c in verb.children):
            return False
        verb = tokens[verb.head]
    return False


def _looks(tokens: Sequence[Token], verb: Token) -> bool:
    """Whether somebody looks, points or turns a part of himself: "turned his back on the sea"."""
    turned = any(tokens[c].dep == "dobj" and tokens[c].lemma in words("body") for c in verb.children)
    eyes = tokens[verb.head].lemma in EYES if verb.dep == "acl" else False  # "her eyes fixed upon the ground"
    eyes = eyes or any(tokens[c].dep in ("nsubj", "nsubjpass") and tokens[c].lemma in EYES for c in verb.children)
    return verb.lemma in LOOKS or eyes or (turned and verb.lemma in TURNS)


def _goes_on(tokens: Sequence[Token], verb: Token) -> bool:
    return any(tokens[c].lemma == "be" and tokens[c].dep == "aux" for c in verb.children)


def _is_goal(noun: Noun, verb: Token | None) -> bool:
    """Whether a noun after "to" is a place to go to: not "turned to stone", nor somebody to whom a thing is sent."""
    if noun.kind == "name":
        sent = verb is not None and verb.lemma in ("send", "bring", "take", "carry", "throw", "drag", "turn", "follow")
        return not sent or bool({word.lower() for word in noun.name} & (words("place.name") | LAND))
    return noun.determiner != "" or noun.plural or noun.lemma in LAND - {"earth", "ground", "mud"}


def _is_habit(tokens: Sequence[Token], verb: Token) -> bool:
    """Whether something is done again and again: "always", "every summer", "once a year"."""
    kids = [tokens[c] for c in verb.children if tokens[c].dep in ("advmod", "npadvmod", "prep")]
    kids += [tokens[c] for k in kids for c in k.children]
    return bool({k.low for k in kids} & HABIT) or any(
        k.lemma in ("year", "week", "month") and any(tokens[c].low == "a" for c in k.children)
        and any(o.low in ("once", "twice", "times") for o in kids) for k in kids
    )  # fmt: skip


def _prepositions(tokens: Sequence[Token], token: Token) -> set[str]:
    """The prepositions above a noun: "from behind the house" has two; no verb stands between."""
    found, at = set(), token.head
    for _ in range(3):
        above = tokens[at]
        if above.pos in ("VERB", "AUX"):
            break
        found.add(above.low)
        if above.head == at:
            break
        at = above.head
    return found


def _from_or_of(tokens: Sequence[Token], noun: Noun, chain: set[str], moving: bool) -> int:
    token = tokens[noun.head]
    if noun.preposition == "of":
        owner = tokens[tokens[token.head].head]
        if "out" in chain:
            return 1
        if owner.dep in ("dobj", "pobj") and noun.verb >= 0 and not is_negated(tokens, noun.verb):
            return _of_thing(tokens, noun, owner)
        room = noun.lemma in words("indoor") and noun.determiner == "the" and not noun.plural
        people = words("person", "animal", "group", "body", "title")
        return int(owner.dep == "nsubj" and room and owner.lemma not in people)  # "the walls of the room"
    away = "away" in {t.low for t in tokens[max(0, token.head - 2) : token.head]}
    verb = tokens[noun.verb]
    thrown = noun.verb >= 0 and any(tokens[c].dep == "dobj" for c in verb.children)
    if moving or away:
        return 0 if thrown or (noun.verb >= 0 and _is_undone(tokens, verb)) else -1
    posed = noun.verb >= 0 and verb.lemma in words("verb.look") | {"look", "peep", "shout", "call", "hang"}
    return int(posed and verb.dep not in ("acl", "relcl") and not noun.plural)  # "looking down from the top of a tree"


def _of_thing(tokens: Sequence[Token], noun: Noun, owner: Token) -> int:
    """ "were lost in the leafage of the garden", "approached the tail of the street"."""
    if noun.animacy != "place" or noun.determiner not in ("the", "poss") or noun.plural:
        return 0
    verb, preposition = tokens[noun.verb], tokens[owner.head]
    if owner.dep == "dobj":
        return 3 if verb.lemma in ARRIVE - {"leave", "quit"} else 0
    if (
        preposition.low not in (AT | {"to"} if verb.lemma in MOVES else AT)
        or tokens[preposition.head].index != verb.index
        or owner.lemma in PARTS
    ):
        return 0
    if owner.lemma in words("person", "animal", "group", "body") or owner.lemma in SIGHT:
        return 0
    return 3 if verb.lemma in MOVES else 1


def _is_talked_of(tokens: Sequence[Token], owner: Token, verb: Token | None) -> bool:
    while owner.dep == "conj" and owner.head != owner.index:
        owner = tokens[owner.head]
    says = verb is not None and verb.lemma in words("verb.speech", "verb.thought")
    return owner.dep == "pobj" and tokens[owner.head].low in (
        ("about", "concerning", "of", "for") if says else ("about",)
    )


def _beside_noun(tokens: Sequence[Token], noun: Noun, owner: Token, verb: Token | None) -> int:
    preposition = noun.preposition
    if owner.lemma in words("time.unit") and owner.dep in ("attr", "npadvmod", "dobj"):
        return 3 if preposition in AT else 0  # "they were two days on the road"
    if preposition in LOOKED and owner.lemma in LOOKS:
        return 0  # "a glance at the house"
    if _is_talked_of(tokens, owner, verb):
        return 0  # "told him about his sisters in the village"
    if preposition == "to" and owner.lemma in STROLLS:
        return 4 if verb is not None and verb.lemma in MOVES else 1  # "came, after a long walk, to the town"
    if preposition == "to" and owner.dep == "dobj" and verb is not None and verb.lemma in MOVES:
        there = noun.animacy == "place" and not is_negated(tokens, verb.index)
        return 4 if there else 0  # "took the boat to the island"
    main = verb is not None and verb.dep in ("ROOT", "conj") and not any(tokens[c].low == "had" for c in verb.children)
    if main and owner.dep in ("dobj", "pobj") and preposition in ("in", "on", "at") and noun.determiner in ("the", "a"):
        return 2 if noun.animacy == "place" or noun.lemma in PARTS else 1  # "finds a flower in the street"
    return int(preposition in BESIDE_NOUN)
