"""Proves that those of a story are neither split nor merged: titles, pairs, another one, newcomers, epithets."""

from __future__ import annotations

from functools import lru_cache

import pytest

from diffilm_core.story.cast import Entity
from diffilm_core.story.entities import nouns
from diffilm_core.story.names import Names
from diffilm_core.story.parse import parse
from diffilm_core.story.reading import Reading, read
from diffilm_core.story.salience import weight_of
from diffilm_core.story.sentences import sentences

CASES = [
    ("a title before the name is told", "The doctor sat down. Tom smiled. Then Dr Hale wept.", {"Dr Hale", "Tom"}),
    ("another is a new one", "A footman sang. Another footman laughed.", {"A footman", "Another footman"}),
    ("a name of two parts joined", "The Fish-Footman bowed. The Footman laughed.", {"The Fish-Footman"}),
    ("a title that begins a sentence", "Colonel Hale sat down. He sang.", {"Colonel Hale"}),
    ("a count and his name", "The Count sat down. Then Count Gregory sang.", {"The Count"}),
    ("a pair of shoes acts not", "A pair of shoes lay there. The shoemaker laughed.", {"The shoemaker"}),
    ("an officer is what he is called", "Tom praised Ben as an officer. Ben laughed.", {"Tom", "Ben"}),
    ("a likeness is nobody", "Tom ran like a bear. Ann saw him. He shouted.", {"Tom", "Ann"}),
    ("a widow and her name", "Now the widow Hale was kind. She laughed. Mrs Hale sang.", {"the widow Hale"}),
    ("a name that is told of her", "There lived a woman of the name of Hale. Mrs. Hale laughed.", {"Hale"}),
    ("a title before a first name", "Rachel Hale sat down. Tom smiled. Then Mrs Rachel wept.", {"Rachel Hale", "Tom"}),
    ("who is called by her first name", "Tom Hale met Emma Hale. Emma sang. Mrs Hale wept.",
     {"Tom Hale", "Emma Hale", "Mrs Hale"}),
    ("a wife and her first name", "Tom Hale sat down. Emma Hale sang. Mrs Hale wept.", {"Tom Hale", "Emma Hale"}),
    ("one of a couple by his name", "Mr Hale sat down. Mrs Hale sang. Then Peter Hale wept.", {"Mr Hale", "Mrs Hale"}),
    ("who is called like a place", "Then came Mr. Temple. The next day Temple sat. Temple laughed.", {"Temple"}),
    ("who has a title is no place", "Mr. Dorne was old. Tom went to Dorne. Ann went to Dorne. Ben went to Dorne.",
     {"Dorne", "Tom", "Ann", "Ben"}),  # and the name he has most often
    ("his visitor is the stranger", "A stranger sat down. Tom saw him. His visitor laughed.", {"A stranger", "Tom"}),
    ("her person is she", "Tom looked at Ann. Her person pleased him.", {"Tom", "Ann"}),
    ("the name that is called out", 'A youth sat there. His mother wept. "Wake up, Philip," she said.\n\nPhilip sang.',
     {"Philip", "His mother"}),
    ("his name was so", "An old man sat there. His name was Bartle. Then Bartle sang.", {"Bartle"}),
    ("a short form", "Caroline Meeber sat down. Tom smiled. Then Carrie wept.", {"Caroline Meeber", "Tom"}),
    ("a numeral", "Tom read the card. R. I. P.\n\nAnn wept.", {"Tom", "Ann"}),
    ("an adjective of a nation", "Ann was Norwegian. Tom laughed.", {"Ann", "Tom"}),
    ("what begins a sentence", "Adjoining the library was a green-house. Tom laughed.", {"Tom"}),
    ("a town of that name", "Tom came to the town of Vexley. Vexley was old. It laughed.", {"Tom"}),
    ("a land by its ending", "They saw Kuanaland. Kuanaland pleased Tom. Tom laughed.", {"Tom"}),
    ("a day of the week", "Tom works hard. Saturdays he laughed and Saturdays he sang.", {"Tom"}),
    ("a hyphen within a name", "The little Half-Chick sat down. Then Half-Chick sang.", {"The little Half-Chick"}),
    ("what sort of servant", "A Welsh servant-girl sat down. Tom laughed.", {"A Welsh servant-girl", "Tom"}),
    ("who acts is no dale", "Milt Dale rode on. Then Dale laughed. Tom met Dale.", {"Dale", "Tom"}),
    ("a first and a last name", "MacIan looked up. Evan sang. Then Evan MacIan laughed.", {"MacIan"}),
    ("a wife by her husband", "Mr Hale sat down. Mrs Hale sang. Then Mr Hale kissed his wife. His wife laughed.",
     {"Mr Hale", "Mrs Hale"}),
    ("a father by his daughter", "Mr Hale sat down. Miss Hale sang. Her father laughed.", {"Mr Hale", "Miss Hale"}),
    ("a doctor and a miss", "Miss Hale sat down. Then Dr Hale laughed.", {"Miss Hale", "Dr Hale"}),
    ("a mother told the other way round", "Ann saw her son. The boy laughed. His mother smiled.", {"Ann", "her son"}),
    ("a girl is a lass", "A girl sat down. Tom smiled. Then the maiden laughed.", {"A girl", "Tom"}),
    ("a lord is an earl", "Lord Hale sat down. Tom smiled. Then the earl laughed.", {"Lord Hale", "Tom"}),
    ("a king's daughter", "The king had a daughter, Anne. Tom smiled. Then the princess laughed.",
     {"The king", "Anne", "Tom"}),
    ("a rabbit with manners", "After Uncle Joe had sung, the old gentleman rabbit laughed. The rabbit slept.",
     {"Uncle Joe"}),
    ("a mother before her name", "Miss Hale saw her mother. Her mother wept. Mrs Hale laughed.",
     {"Miss Hale", "Mrs Hale"}),
    ("none is nobody", "No bear touched Ann. Then Tom saw the bear. The bear laughed.", {"Tom", "the bear"}),
    ("who is only supposed", "A beggar must have done it. Ann wept. Then the beggar laughed.", {"Ann", "the beggar"}),
    ("who may be his companion", 'Tom sat down. "Ann is ill," he said.\n\nHis friend laughed.', {"Tom", "His friend"}),
    ("who is called like a field", "Mrs Dale sat down. Then came the Dales and laughed.", {"Mrs Dale", "the Dales"}),
    ("a word that is seldom used", "A stripling sat down. He laughed.", {"A stripling"}),
    ("a hyphen before a small letter", "Tom saw Snow-white, and Snow-white laughed.", {"Snow-white", "Tom"}),
    ("her spirits are nobody", "Ann rose. Her spirits sank, and her spirits laughed at her.", {"Ann"}),
    ("Miss by itself", "'Yes,' said Tom. 'Miss is kind. Does Miss laugh?' asked Tom. 'Miss laughs.'", {"Tom"}),
    ("the mother of two", "A poor widow had two children. Ann saw her mother. Her mother laughed.",
     {"A poor widow", "Ann"}),
    ("what is abstract", "(Ann had no idea what Latitude was, or Longitude either.) Ann laughed.", {"Ann"}),
    ("where it points", "The needle pointed East. Tom went West. He laughed.", {"Tom"}),
    ("a figure that acts", "A tall figure ran down the road. Tom laughed.", {"A tall figure", "Tom"}),
    ("a dog that is brought", "Tom had brought a dog. He laughed.", {"Tom", "a dog"}),
    ("whose name was so", "A lad, whose name was Jorin, sat down. Tom smiled. Then Jorin laughed.", {"Jorin", "Tom"}),
    ("a maid is no girl", "A girl sat down. Tom smiled. Then the maid laughed.", {"A girl", "Tom", "the maid"}),
    ("a couple of sisters", "Tom saw a couple of sisters. The sisters laughed.", {"Tom", "a couple of sisters"}),
    ("a pet name", "The Rat sat down. Tom smiled. Then Ratty laughed. The Rat slept.", {"The Rat", "Tom"}),
    ("others of them", "The men came. Some of the men sat down, others stood and laughed.", {"The men"}),
    ("a middle initial", "Tom Hale met Adam J. Hale. Adam J. Hale laughed.", {"Tom Hale", "Adam J. Hale"}),
    ("three by their names", "There were three: first, Corby; second, Benson; third, Ginger Hale. Corby laughed. Then"
     " Benson sang. Hale wept.", {"Corby", "Benson", "Ginger Hale"}),
    ("two of one last name", "Hale sat down. Anthony Hale sang. Then Robert Hale laughed.", {"Hale", "Robert Hale"}),
    ("who says who she is", 'A girl sat there. Tom looked at her. "I am Mary Hale," the girl said. Mary laughed.',
     {"Mary", "Tom"}),
    ("who says who he is, known", 'Ben Hale slept. Tom saw a boy. "I am Ben Hale," the boy said. Ben laughed.',
     {"Ben Hale", "Tom"}),
    ("quite a king is another one", "The king sat down. Ann saw quite a king. He laughed.",
     {"The king", "Ann", "quite a king"}),
    ("who may be a woman is hardly the man", "Ann gave the teacher a book. The man laughed.", {"Ann", "The man"}),
    ("a place that is gone to", "Tom went to Wexley. In Wexley he met Ann.", {"Tom", "Ann"}),
]  # fmt: skip
MEANT = [
    ("The two boys ran home. They were both good runners. They laughed.", "They laughed", {"The two boys"}),
    ("Blacky the Crow and Sammy Jay sat in a tree. They laughed.", "They laughed", {"Blacky the Crow", "Sammy Jay"}),
    ("Tom and his cousin, Ann, sat in a tree. She laughed.", "She laughed", {"Ann"}),
    ("David looked up the hill. Down the slope came a warrior. He laughed.", "He laughed", {"a warrior"}),
    ("Far off something shone. Tom saw that it was a most beautiful lady. She laughed.", "She laughed",
     {"a most beautiful lady"}),
    ("Tom was afraid of Ben, very much afraid of him. He shouted.", "him.", {"Ben"}),
    ("We sailed home. Two sailors sat on the deck. We laughed. They sang.", "They sang", {"Two sailors"}),
    ("Tom and Ann hid themselves. They laughed.", "They laughed", {"Tom", "Ann"}),
    ('Tom met Ben. "You must go," said Tom.\n\n"No," said the young man, and he laughed.', "he laughed", {"Ben"}),
    ("Ann saw her son. Then her son laughed. His mother sang. She wept.", "She wept", {"Ann"}),
    ("Mr Hale sat down. Mrs Hale sang. Then Hale laughed. He slept.", "He slept", {"Mr Hale"}),
    ("To Merrin she was a queen. Merrin sat down. He laughed.", "He laughed", {"Merrin"}),
    ("There were four little girls. Tom smiled. The four sisters sang. They slept.", "They slept",
     {"four little girls"}),
    ("Ann had a chick. She feared something would happen to it. Then it slept.", "it slept", {"a chick"}),
    ("Tom and Sue sang. They danced. Kate met Ann. They laughed.", "They laughed", {"Kate", "Ann"}),
    ("Tom and Ann and Ben slept. Mary met Sue. They all laughed.", "They all", {"Tom", "Ann", "Ben"}),
    ("Tom saw Ben. He was the biggest man that Tom had met. He laughed.", "He was", {"Ben"}),
    ('Ben sat down. Ann came. "Carl is lost," said Ann. Ben wept. "We must find him," said Ann.', "him,", {""}),
    ("Tom bought shoes for Ann and Mary. He sold them.", "them.", {""}),
]  # fmt: skip


@lru_cache(maxsize=32)
def reading(text: str) -> Reading:
    return read(text)


@pytest.mark.parametrize(("text", "cast"), [pytest.param(text, cast, id=name) for name, text, cast in CASES])
def test_who_is_in_the_cast(text: str, cast: set[str]) -> None:
    assert {member.name for member in reading(text).cast} == cast


@pytest.mark.parametrize(("text", "words", "who"), MEANT, ids=[text[:30] for text, _, _ in MEANT])
def test_whom_the_pronoun_means(text: str, words: str, who: set[str]) -> None:
    called = {member.id: member.name for member in reading(text).cast}
    at = text.rindex(words)
    mentions = [m for s in reading(text).sentences for m in s.mentions if m.span[0] == at and m.kind == "pronoun"]
    assert {called.get(m.member, "") for m in mentions} == who


@pytest.mark.parametrize("named", ["Ann", "Mary"])
def test_she_is_rather_whom_the_story_goes_on_naming(named: str) -> None:
    tail = " ".join(f"{named} {did}." for did in ("laughed", "ran home", "sang", "slept"))
    text = f"Ann met Mary. She was glad. {tail}"
    called = {member.id: member.name for member in reading(text).cast}
    at = text.index("She was")
    assert [called[m.member] for s in reading(text).sentences for m in s.mentions if m.span[0] == at] == [named]


def test_what_was_when_somebody_thought_is_seen() -> None:
    story = reading(
        "He was just thinking how lucky the mouse was, when suddenly the door opened, and in came the cook."
    )
    assert "the cook" in {member.name for member in story.cast}


def test_what_is_supposed_or_so_at_all_times_is_not_seen() -> None:
    story = reading(
        "A shrewd sailor might have smiled. Tom drank in the sight as a soldier drinks good wine. "
        "There came a time when he had eaten all of it."
    )
    assert [sentence.cast for sentence in story.sentences] == [(), ("tom",), ("tom",)]


def test_whom_a_story_in_the_past_tense_only_remarks_on_is_not_seen() -> None:
    story = reading(
        "I sat with Tom. He was, as people say, a man whom a child loves. Girls laugh at such men, I suppose. "
        "He had wept, as I told you. I am afraid Tom laughed. I wept."
    )
    called = {member.id: member.name for member in story.cast}
    seen = [{called[i] for i in sentence.cast} for sentence in story.sentences]
    assert seen == [{"I", "Tom"}, {"Tom"}, set(), {"Tom"}, {"Tom"}, {"I"}]


def test_what_was_as_something_else_was_is_seen() -> None:
    story = reading("Ann ran to meet him as Tom rode up. Tom laughed.")
    assert story.sentences[0].cast == ("ann", "tom")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Ann was surprised to find that Tom had wept. Tom laughed.", {"Ann", "Tom"}),
        ("Ann stood so near that Tom grew afraid; he laughed.", {"Ann", "Tom"}),
        ("And so it came to pass that the king came to Ann. The king laughed.", {"the king", "Ann"}),
        ("One day Tom sat near Ann; and so she laughed, she said.", {"Ann", "Tom"}),
        ("Ann was looking for Tom. Tom laughed.", {"Ann"}),
        ("Ann put a bench there, so that visitors might sit. Visitors came. They laughed.", {"Ann"}),
    ],
)
def test_what_is_so_is_seen_and_what_is_sought_is_not(text: str, seen: set[str]) -> None:
    called = {member.id: member.name for member in reading(text).cast}
    assert {called[i] for i in reading(text).sentences[0].cast} == seen


def test_an_owner_weighs_less_than_who_is_his() -> None:
    text = "Ann hid from Farmer Hale's boy."
    (tokens,) = parse(text, sentences(text))
    names = Names()
    names.learn(tokens, text)
    weights = {n.lemma: weight_of(tokens, n, Entity(0, "", "person", "m", False)) for n in nouns(tokens, text, names)}
    assert weights["hale"] < weights["boy"]
