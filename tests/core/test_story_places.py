"""Proves what moves the scene (going and being there), what does not (what is told in passing), and what dates it."""

from __future__ import annotations

import pytest

from diffilm_core.story.reading import read


def places(text: str) -> list[str]:
    return [s.place for s in read(text).sentences]


@pytest.mark.parametrize(
    "passing",
    [
        "Sailors walk in the garden at that hour.",  # always so, in a story told of the past
        "He had met a friend at the hotel the night before.",  # before now
        "He thought of a lady known at the farm.",  # told of somebody
        "He drove to the city once a year.",  # a habit
        "He was turned to stone.",
        "He took a chair by the window.",  # within the scene
        "He kicked his heels high in the air.",
        "He turned his nose up in the air.",
        "He sent a letter to Hobson.",
        "He was running to the castle, when he heard a cry.",  # not there yet
        "He started for the castle.",
        "He was impatient to ride on to the castle.",
        "Pity sprang up in him beside the impulse of joy.",
        "He dreamed of falling into the sea.",  # "of" before the verb: not done
        "He spoke of the joy of walking through a forest.",
        "At last he fell into a doze.",  # no place
        "He stood on the edge of a passion.",
        "The child was sent to a castle.",  # the scene does not go with her
        "There was a space between them.",
        "He was to take the letter home.",
        "As she went home she was glad.",  # not there yet
        "He put the letter into a cupboard.",  # only the letter
        "They came in sight of the farm.",
        "Before they reached the river he was glad.",
        "The towers of the castle looked old.",
        "They stood inside.",
        "He carried a letter from the kitchen.",
        "Before going from the kitchen he was glad.",
        "Ann was at home.",
        "Perhaps she was in the garden.",
        "He was kept from going into the garden.",
        "He ran among streets and carriages.",
        "He will go out to the woodland.",  # in the future
        "They turned their backs on the sea.",
        "There was not a hut near.",
        "He had never felt so glad when he was in Frankfurt.",  # before now
        "He assured her that Ann walked in the garden.",  # said of another
        "It was like sitting in a garden.",
        "He felt like a pigeon flying home.",
        "As he read them, one seemed to float there, seated in a boat.",  # what anybody may do
        "He crossed the threshold.",
        "Her eyes fixed upon the river gave him pain.",
        "He was about to go into the garden.",  # to come
        "She was going to walk to the castle.",
        "He was to go to the castle.",
        "They had reached a stage of joy.",
        "He told them about his sisters in the village.",
        "He learned that Ann had gone to the castle.",
    ],
)
def test_a_place_in_passing_moves_no_scene(passing: str) -> None:
    assert places(f"Tom ran into the kitchen and sat down and was glad. {passing}")[-1] == "kitchen"


@pytest.mark.parametrize(
    "passing",
    [
        "According to the custom of the country he was glad.",
        "The moon shone.",
        "Tom stood on the side of old Jim, and Jim sat, and Jim sang, and Jim slept.",
    ],
)
def test_nor_does_it_make_one(passing: str) -> None:
    assert places(passing) == [""]


@pytest.mark.parametrize(
    ("sentence", "place"),
    [
        ("Tom stood by the obelisk.", "obelisk"),
        ("His first act was to run into the garden.", "garden"),
        ("They walked along the cart-track.", "cart track"),
    ],
)
def test_where_somebody_stands_or_went(sentence: str, place: str) -> None:
    assert places(sentence) == [place]


@pytest.mark.parametrize(
    ("moving", "place"),
    [
        ("He climbed the ladder to the deck.", "deck"),
        ("They vanished, and he went after a long walk to the village.", "village"),
        ("The next walk was to the castle.", "castle"),
        ("He came back over the fields and sat down in the garden.", "garden"),
        ("The birds rose in the air.", "air"),
        ("They started up the path.", "path"),
        ("He went back home.", "home"),
        ("She hurried upstairs and cried.", "upstairs"),
        ("Running down stairs, he called the cook.", "stairs"),
        ("He came to a place where nobody lived.", ""),
        ("She went to the baker's and bought bread.", "baker's house"),
        ("They dined at Mrs. Dale's.", "Dale's house"),
        ("He came to a green hollow.", "green hollow"),
        ("He went to the hall by a stair.", "hall"),
        ("He walked about the farm.", "farm"),
        ("They went to the ball and were glad.", "ball"),
        ("They set out with the dog.", ""),
        ("He got safe to London.", "London"),
        ("They had not gone far before they came to a wood.", "wood"),
        (
            "He went away, and when he had walked a short distance he came to a little hut which stood alone.",
            "little hut",
        ),
        ("The room lay at the end of the passage.", "room"),
        ("They saw the castle and went in.", "castle"),
        ("Ann went home, and he asked where she had been?", "home"),
        ("He strutted across the inn.", "inn"),
        ("He took them home and was glad.", "home"),
        ("He ran downstairs. He knocked at the door of the hall.", "hall"),
        ("He sat on the edge of the table.", "edge of the table"),
        ("“Come,” said Bo, when Helen arrived at their little hut, “sit down.”", "little hut"),
    ],
)
def test_going_and_being_there_moves_it(moving: str, place: str) -> None:
    assert places(f"Tom ran into the kitchen and sat down and was glad. {moving}")[-1] == place


@pytest.mark.parametrize(
    ("first", "place"),
    [
        ("The cold of the room made his head ache.", "room"),
        ("Tom was lost in the leaves of the garden.", "garden"),
        ("Looking down from the top of a tall tree, Tom held his breath.", "tree"),
        ("Many had talked with Tom in that room.", "room"),
        ("The sea rolled on.", "sea"),
        ("Tom slept, and a farm was told of.", ""),
        ("Grass grows soon over graves.", ""),
        ("The snow lay deep.", ""),
        ("Her silence at home made him sad.", ""),
        ("At last the carriage came.", ""),
        ("He had lost his money in the wood.", "wood"),
        ("They saw a long stretch of road.", "long stretch of the road"),
        ("At last he espied a hole.", "hole"),
        ("There was a hole in his coat.", ""),
        ("They went to walk in the wood.", "wood"),
        ("He considered, gazing through the window over the slopes.", ""),
        ("He inquired at different houses where the Drill Hall was.", ""),
        ("They sat by a bright fire.", "fire"),
        ("Tom sat at the fire.", "fire"),
        ("They feared a fire.", ""),
        ("The lobsters danced, with a bound into the air.", ""),
        ("Tom spoke, with a glance at the hole.", ""),
        ("They might even manage to reach the coast.", ""),
        ("He went upstairs and stood in the hall.", "hall"),
        ("Ann had put the lamp in a corner.", ""),
    ],
)
def test_little_is_enough_where_no_place_is_known(first: str, place: str) -> None:
    assert place in places(first)[0] and bool(places(first)[0]) == bool(place)


def test_a_spot_gives_way_to_a_place() -> None:
    assert places("Tom came to the door. He stood in a corner of the room.")[-1] == "corner of the room"
    assert places("Tom came to the door. The cold of the room made his head ache.")[-1] == "room"
    assert places("Tom leaned on the table. Then he saw a hut.") == ["table", "hut"]


@pytest.mark.parametrize(
    ("sentence", "time"),
    [
        ("It drew near the close of day.", "close of day"),
        ("Three days afterwards Tom came back.", "days afterwards"),
        ("In the course of the morning Tom came back.", "morning"),
        ("The garden was greener than ever in the early morning.", "early morning"),
        ("It was like the fear of a man who slept all day and woke at night.", ""),
        ("At night she always became an old woman.", ""),  # so at all times
        ("She assured him that the winter passed soon.", ""),
        ("He will come in the morning.", ""),
        ("The Sunday following, the boy went downstairs.", "sunday following"),
        ("At two o'clock Tom went home.", "two o'clock"),
        ("He was ordered for six o'clock.", ""),
        ("On April 3 he came home.", "april 3"),
        ("Night after night I had passed the house.", ""),
        ("The next morning after breakfast I went down to look at the house.", "next morning after breakfast"),
        ("She had heard him tell Tom the evening before in the store at Cambridge that he meant to go.", ""),
        ("The hills glowed in the rays of the setting sun.", "sunset"),
        ("The sun was setting fast.", "sunset"),
        ("The sun rose as he left.", "sunrise"),
        ("The boy got up at six to start work.", "six"),
        ("He set off at a quarter to seven.", "quarter to seven"),
        ("About half-past eight a messenger came.", "half past eight"),
        ("It was shut up at 10.5 p.m., and he slept.", "10.5 p.m."),
        ("At three o'clock in the morning he was roused.", "three o'clock morning"),
        ("The cook began to laugh at two of them.", ""),  # no hour
        ("He sold them at six pounds.", ""),
        ("On the 6th of November he came.", "6th of november"),
        ("By the time he came, it was quite dark.", "dark"),
        ("It was too dark to see it.", ""),
        ("The long afternoon wore on.", "long afternoon"),
        ("They plunged into the thick night.", "thick night"),
        ("Twenty-five years later he came.", "twenty five years later"),
        ("Just sufficient time had elapsed.", ""),
        ("In summer it was hot, and in winter it was cold.", ""),  # so at all times
        ("He worked day and night.", ""),
        ("On summer evenings he walked.", ""),
        ("Tom preached a sermon for the next day.", ""),
        ("He was to die on the next day.", ""),  # to come
        ("On the Sunday morning previous he was called.", ""),
        ("He lived before the dawn of freedom and was glad.", ""),  # a figure
        ("Tom sat behind the winter-stripped vines.", ""),
        ("Aunt March received them.", ""),
        ("He lived for the advent of a guest.", ""),
        ("It was not a summer day.", ""),
        ("It lasted all through the summer.", "summer"),
    ],
)
def test_times(sentence: str, time: str) -> None:
    assert read(sentence).sentences[0].time == time


def test_furniture_beside_somebody_outdoors_has_him_indoors() -> None:
    assert places("Tom ran into the wood. Later he hid behind the sofa.")[-1] == "sofa"
    assert places("Tom ran into the hall. Later he hid behind the sofa.")[-1] == "hall"


@pytest.mark.parametrize(
    ("sentence", "time"),
    [
        ("When the spring came he was glad.", "spring"),
        ("One evening he was glad.", "evening"),
        ("It was on a fine summer day that he left.", "summer day"),
        ("The third day he was glad.", "third day"),
        ("With a hasty good night he left.", "morning"),  # a greeting
        ("He had been there in the last autumn.", "morning"),  # before now
        ("He had been there at night.", "morning"),
        ("The clock had just struck nine on Monday evening.", "monday evening"),
        ("He noticed it the night he took supper with Jim.", "morning"),  # another time
        ("He knew that it is cool in the summer.", "morning"),  # so at all times
        ("Now, one evening he happened to go to Rome, to hear Jim, and he thought that he would walk.", "evening"),
    ],
)
def test_time_of_the_scene(sentence: str, time: str) -> None:
    assert time in read(f"In the morning Tom sat in the kitchen. {sentence}").sentences[-1].time


def test_one_day_ends_the_time_that_was_told() -> None:
    assert [s.time for s in read("At night Tom sat there. One day he left.").sentences] == ["night", ""]


def test_a_chair_in_the_room_is_no_other_place() -> None:
    assert places("The walls of the parlour were red. Tom sat on a chair.") == ["parlour", "parlour"]


def test_a_corner_of_it_is_a_corner() -> None:
    assert places("The table was a large one, but the three were crowded together at one corner of it.") == ["corner"]
