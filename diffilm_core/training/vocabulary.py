"""The objects of the shipped model's world: animals, people, things, plants, vehicles, food and buildings.

One line an object: `noun | emoji code | size | where | synonyms`. Size 1 (tiny) .. 5 (huge) is a picture-book size,
not a real one. Where: g stands on the ground, a flies or hovers, w swims; the first letter is the habit. A capital
letter after a dash tells where the sprite looks (L left, the default; R right; F towards us). A noun ending in "+"
is a plural, in "~" it cannot be counted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_TABLE = """
# animal
fox|1f98a|3|g-F|red fox,little fox
dog|1f415|3|g|puppy,hound
poodle|1f429|3|g|
wolf|1f43a|3|g-F|grey wolf
raccoon|1f99d|3|g-F|
cat|1f408|3|g|kitten,tabby cat
black cat|1f408-200d-2b1b|3|g|
lion|1f981|4|g-F|
tiger|1f405|4|g|
leopard|1f406|4|g|cheetah
monkey|1f412|3|g|
gorilla|1f98d|4|g|ape
horse|1f40e|4|g|pony
unicorn|1f984|4|g|
zebra|1f993|4|g|
deer|1f98c|4|g|stag
moose|1face|4|g|elk
bison|1f9ac|4|g|buffalo
cow|1f404|4|g|
pig|1f416|3|g|piglet
sheep|1f411|3|g|lamb
goat|1f410|3|g|
camel|1f42b|4|g|
llama|1f999|4|g|alpaca
giraffe|1f992|5|g|
elephant|1f418|5|g|
rhino|1f98f|4|g|rhinoceros
hippo|1f99b|4|g|hippopotamus
mouse|1f42d|2|g-F|little mouse
hamster|1f439|2|g-F|
rabbit|1f407|3|g|bunny,hare
squirrel|1f43f-fe0f|2|g|chipmunk
hedgehog|1f994|2|g|
bat|1f987|2|a|
bear|1f43b|4|g-F|brown bear
polar bear|1f43b-200d-2744-fe0f|4|g-F|white bear
koala|1f428|3|g-F|
panda|1f43c|4|g-F|
sloth|1f9a5|3|g-F|
otter|1f9a6|3|gw-F|
skunk|1f9a8|3|g|
kangaroo|1f998|4|g|
crocodile|1f40a|4|gw-F|alligator
turtle|1f422|2|gw|tortoise
lizard|1f98e|2|g-F|
snake|1f40d|3|g|
dragon|1f409|5|g|
dinosaur|1f995|5|g|
t-rex|1f996|5|g|tyrannosaurus
whale|1f433|5|w|
dolphin|1f42c|4|w|
seal|1f9ad|3|gw|sea lion
fish|1f41f|3|w|blue fish
pufferfish|1f421|3|w|blowfish
shark|1f988|4|w|
octopus|1f419|3|w-F|
jellyfish|1fabc|3|w-F|
crab|1f980|2|gw-F|
lobster|1f99e|3|gw-F|
shell|1f41a|1|gw|seashell
coral~|1fab8|2|gw-F|
snail|1f40c|2|g|
butterfly|1f98b|2|a-F|
caterpillar|1f41b|2|g|worm
ant|1f41c|1|g|
bee|1f41d|2|a|honeybee,bumblebee
ladybug|1f41e|1|g-F|ladybird
spider|1f577-fe0f|1|g-F|
scorpion|1f982|2|g-F|
fly|1fab0|1|a-F|
turkey|1f983|3|g|
rooster|1f413|3|g|
hen|1f414|3|g|chicken
chick|1f424|2|g|baby chick
bird|1f426|2|ag|red bird,little bird
crow|1f426-200d-2b1b|2|ag|raven,black bird
penguin|1f427|3|g-F|
dove|1f54a-fe0f|2|a|white dove,pigeon
eagle|1f985|3|a|hawk
duck|1f986|3|gw|duckling
swan|1f9a2|3|wg|
owl|1f989|2|ga-F|
flamingo|1f9a9|4|g|
peacock|1f99a|3|g-F|
parrot|1f99c|2|ag|
frog|1f438|2|g-F|toad
# person
baby|1f476|3|g-F|little baby
boy|1f466|3|g-F|little boy
girl|1f467|3|g-F|little girl
man|1f468|3|g-F|
woman|1f469|3|g-F|lady,mother
old man|1f474|3|g-F|grandfather,grandpa
old woman|1f475|3|g-F|grandmother,grandma
angel|1f47c|3|ga-F|
santa|1f385|3|g-F|santa claus,father christmas
superhero|1f9b8|4|ga-F|hero
wizard|1f9d9|4|g-F|magician
fairy|1f9da|3|a-F|
vampire|1f9db|4|g-F|
mermaid|1f9dc-200d-2640-fe0f|4|wg-F|
elf|1f9dd|4|g-F|
genie|1f9de|4|ag-F|
troll|1f9cc|4|g-F|ogre
skier|26f7-fe0f|4|g|
surfer|1f3c4|4|wg|
swimmer|1f3ca|4|w|
cyclist|1f6b4|4|g|man on a bike
runner|1f3c3|4|g|
dancer|1f483|4|g-F|
juggler|1f939|4|g-F|
doctor|1f9d1-200d-2695-fe0f|4|g-F|
teacher|1f9d1-200d-1f3eb|4|g-F|
farmer|1f9d1-200d-1f33e|4|g-F|
cook|1f9d1-200d-1f373|4|g-F|chef,baker
scientist|1f9d1-200d-1f52c|4|g-F|
singer|1f9d1-200d-1f3a4|4|g-F|
painter|1f9d1-200d-1f3a8|4|g-F|artist
captain|1f9d1-200d-2708-fe0f|4|g-F|pilot
astronaut|1f9d1-200d-1f680|4|ga-F|spaceman
firefighter|1f9d1-200d-1f692|4|g-F|fireman
policeman|1f46e|4|g-F|police officer
detective|1f575-fe0f|4|g-F|
soldier|1f482|4|g-F|guard
ninja|1f977|4|g-F|
builder|1f477|4|g-F|worker
king|1fac5|4|g-F|
princess|1f478|4|g-F|queen
bride|1f470|4|g-F|
ghost|1f47b|3|a-F|
alien|1f47d|3|ga-F|
robot|1f916|3|g-F|
clown|1f921|3|g-F|
snowman|26c4|4|g-F|
# plant
tree|1f333|5|g-F|green tree
pine tree|1f332|5|g-F|fir tree,evergreen
palm tree|1f334|5|g-F|palm
cactus|1f335|4|g-F|
seedling|1f331|2|g-F|sprout
wheat~|1f33e|4|g-F|ear of wheat
clover|1f340|2|g-F|lucky clover
maple leaf|1f341|2|g-F|red leaf
mushroom|1f344|2|g-F|toadstool
bouquet|1f490|3|g|bunch of flowers
rose|1f339|3|g-F|red rose
hibiscus|1f33a|2|g-F|
sunflower|1f33b|3|g-F|
flower|1f33c|3|g-F|white flower,daisy
tulip|1f337|3|g-F|
lotus|1fab7|3|gw-F|water lily
christmas tree|1f384|5|g-F|
bamboo~|1f38d|4|g-F|
# food
apple|1f34e|2|g-F|red apple
pear|1f350|2|g-F|
orange|1f34a|2|g-F|
lemon|1f34b|2|g-F|
banana|1f34c|2|g-F|
pineapple|1f34d|3|g-F|
watermelon|1f349|2|g-F|melon
grapes+|1f347|2|g-F|
strawberry|1f353|2|g-F|
cherries+|1f352|2|g-F|
blueberries+|1fad0|2|g-F|berries+
tomato|1f345|2|g-F|
coconut|1f965|2|g-F|
eggplant|1f346|2|g-F|
carrot|1f955|2|g-F|
corn~|1f33d|2|g-F|ear of corn
pepper|1f336-fe0f|2|g-F|hot pepper
broccoli~|1f966|2|g-F|
pumpkin|1f383|3|g-F|jack-o-lantern
bread~|1f35e|2|g-F|loaf of bread
pancakes+|1f95e|3|g-F|
cheese~|1f9c0|2|g-F|piece of cheese
hamburger|1f354|3|g-F|burger
fries+|1f35f|3|g-F|
pizza|1f355|3|g-F|
hot dog|1f32d|3|g-F|sausage
sandwich|1f96a|3|g-F|
egg|1f95a|2|g-F|
popcorn~|1f37f|3|g-F|bag of popcorn
soup~|1f372|3|g-F|pot of soup,stew~
ice cream|1f366|3|g-F|ice cream cone
donut|1f369|3|g-F|doughnut
cookie|1f36a|2|g-F|
birthday cake|1f382|3|g-F|cake
cupcake|1f9c1|3|g-F|muffin
pie|1f967|3|g-F|
chocolate~|1f36b|2|g-F|chocolate bar,bar of chocolate
lollipop|1f36d|3|g-F|candy
honey~|1f36f|3|g-F|honey pot,pot of honey
milk~|1f95b|3|g-F|glass of milk
coffee~|2615|2|g-F|cup of coffee
teapot|1fad6|3|g-F|
# vehicle
car|1f697|4|g|red car
taxi|1f695|4|g|cab
police car|1f693|4|g|
ambulance|1f691|4|g|
fire engine|1f692|4|g|fire truck
bus|1f68c|4|g|
truck|1f69a|4|g|
tractor|1f69c|4|g|
racing car|1f3ce-fe0f|4|g|race car
motorcycle|1f3cd-fe0f|4|g|motorbike
scooter|1f6f5|4|g|
bicycle|1f6b2|4|g|bike
train|1f682|5|g|steam train,locomotive
airplane|2708-fe0f|4|a-R|plane
helicopter|1f681|4|a|
rocket|1f680|4|ag-R|rocket ship,spaceship
ufo|1f6f8|4|a-F|flying saucer
parachute|1fa82|4|a-F|
boat|26f5|4|wg-F|sailboat,sailing boat
canoe|1f6f6|4|wg|
ship|1f6a2|5|wg|
sled|1f6f7|3|g|sledge
skateboard|1f6f9|2|g|
# building
house|1f3e0|5|g-F|little house,home
hut|1f6d6|4|g-F|cabin,cottage
castle|1f3f0|5|g-F|palace
church|26ea|5|g-F|
pagoda|1f3ef|5|g-F|temple
school|1f3eb|5|g-F|
factory|1f3ed|5|g-F|
skyscraper|1f3e2|5|g-F|office building
tent|26fa|4|g-F|
circus tent|1f3aa|5|g-F|circus
ferris wheel|1f3a1|5|g-F|big wheel
carousel|1f3a0|4|g-F|merry-go-round
fountain|26f2|4|g-F|
slide|1f6dd|4|g-F|
volcano|1f30b|5|g-F|
# thing
teddy bear|1f9f8|3|g-F|teddy
kite|1fa81|3|a-F|
balloon|1f388|3|a-F|red balloon
gift|1f381|3|g-F|present,gift box
soccer ball|26bd|2|g-F|football
basketball|1f3c0|2|g-F|
baseball|26be|2|g-F|
crystal ball|1f52e|3|g-F|
magic wand|1fa84|2|a-F|wand
drum|1f941|3|g-F|
guitar|1f3b8|3|g-F|
violin|1f3bb|3|g-F|fiddle
trumpet|1f3ba|3|g-F|horn
trophy|1f3c6|3|g-F|golden cup
crown|1f451|3|g-F|golden crown
top hat|1f3a9|3|g-F|hat
diamond|1f48e|2|g-F|jewel,gem
ring|1f48d|2|g-F|
key|1f511|2|g-F|golden key
sword|1f5e1-fe0f|3|g-F|dagger
axe|1fa93|3|g-F|
ladder|1fa9c|4|g-F|
broom|1f9f9|3|g-F|
basket|1f9fa|3|g-F|
bucket|1faa3|3|g-F|pail
candle|1f56f-fe0f|3|g-F|
lantern|1f3ee|3|g-F|
lamp|1f4a1|2|g-F|light bulb
bell|1f514|3|g-F|golden bell
book|1f4d5|3|g-F|red book
camera|1f4f7|3|g-F|
television|1f4fa|3|g-F|tv
telephone|260e-fe0f|3|g-F|phone
clock|23f0|3|g-F|alarm clock
telescope|1f52d|3|g|
umbrella|2602-fe0f|3|g-F|
boot|1f462|3|g-F|red boot
dress|1f457|3|g-F|blue dress
backpack|1f392|3|g-F|bag
chair|1fa91|3|g-F|
sofa|1f6cb-fe0f|4|g-F|couch
bed|1f6cf-fe0f|4|g|
door|1f6aa|4|g-F|
mailbox|1f4ea|3|g-F|
anchor|2693|3|g-F|
fire|1f525|3|g-F|campfire
feather|1fab6|2|ag-F|
rock|1faa8|3|g-F|stone
bone|1f9b4|2|g-F|
treasure~|1f4b0|3|g-F|bag of gold,money bag
star|2b50|2|a-F|golden star
sun|1f31e|3|a-F|
moon|1f319|3|a-F|
rainbow|1f308|4|a-F|
cloud|2601-fe0f|3|a-F|
planet|1fa90|3|a-F|
"""


@dataclass(frozen=True)
class ObjectKind:
    """One entry of the vocabulary. `names[0]` is the plain noun; `some[i]` tells that `names[i]` takes
    "some", not "a".
    """

    id: int
    names: tuple[str, ...]
    some: tuple[bool, ...]
    plural: tuple[bool, ...]
    code: str
    kind: str
    size: int
    where: str
    faces: str

    @property
    def noun(self) -> str:
        return self.names[0]

    @property
    def flies(self) -> bool:
        return self.where[0] == "a"

    @property
    def swims(self) -> bool:
        return "w" in self.where


def _parse(table: str) -> tuple[ObjectKind, ...]:
    kind = ""
    out: list[ObjectKind] = []
    for line in table.strip().splitlines():
        if line.startswith("#"):
            kind = line[1:].strip()
            continue
        noun, code, size, where, synonyms = line.split("|")
        names = [noun, *(s for s in synonyms.split(",") if s)]
        habit, _, faces = where.partition("-")
        out.append(
            ObjectKind(
                id=len(out),
                names=tuple(n.rstrip("+~") for n in names),
                some=tuple(n[-1] in "+~" for n in names),
                plural=tuple(n.endswith("+") for n in names),
                code=code,
                kind=kind,
                size=int(size),
                where=habit,
                faces=faces or "L",
            )
        )
    return tuple(out)


OBJECTS: tuple[ObjectKind, ...] = _parse(_TABLE)
KINDS = ("animal", "person", "plant", "food", "vehicle", "building", "thing")

# What the places are built of: emoji that never are a subject's twin at the same spot, code by name.
PROPS: dict[str, str] = dict(
    pair.split("=")
    for pair in [
        "pine=1f332",
        "tree=1f333",
        "palm=1f334",
        "cactus=1f335",
        "sheaf=1f33e",
        "herb=1f33f",
        "mushroom=1f344",
        "tulip=1f337",
        "daisy=1f33c",
        "sunflower=1f33b",
        "hyacinth=1fabb",
        "rock=1faa8",
        "wood=1fab5",
        "shell=1f41a",
        "coral=1fab8",
        "cloud=2601-fe0f",
        "sun=2600-fe0f",
        "full_moon=1f315",
        "crescent=1f319",
        "planet=1fa90",
        "earth=1f30d",
        "star=2b50",
        "comet=2604-fe0f",
        "house=1f3e1",
        "office=1f3e2",
        "department=1f3ec",
        "bank=1f3e6",
        "hotel=1f3e8",
        "parasol=26f1-fe0f",
        "sailboat=26f5",
        "teapot=1fad6",
        "pan=1f373",
        "pot=1f372",
        "bread=1f35e",
        "jar=1fad9",
        "potted=1fab4",
        "bed=1f6cf-fe0f",
        "teddy=1f9f8",
        "books=1f4da",
        "picture=1f5bc-fe0f",
    ]
)


@lru_cache
def object_by_name() -> dict[str, int]:
    """Every noun and synonym -> object id."""
    return {name: o.id for o in reversed(OBJECTS) for name in o.names}


def with_article(name: str, some: bool = False) -> str:
    """`fox` -> `a fox`, `owl` -> `an owl`, `grapes`, `milk` (some) -> `some grapes`, `some milk`."""
    if some:
        return f"some {name}"
    vowel = re.match(r"[aeiou]", name) and not re.match(r"(uni|ufo|eu|one)", name)
    return f"{'an' if vowel else 'a'} {name}"
