"""Exercise 6c.4, a reward that can count: what its check compares with, tries, and recognises."""
import random
import re
from collections.abc import Callable

from helpers.exercises.exercise import Exercise, Mistake, Property

NUMBERS = "two three four five six seven eight nine ten eleven twelve".split()
VALUES = {word: value for value, word in enumerate(NUMBERS, 2)}
NUMBER = "|".join(NUMBERS)


def sum_reward(story: str) -> float:
    words, word = [], ""
    for letter in story.lower() + " ":
        if "a" <= letter <= "z":
            word += letter
        elif word:
            words.append(word)
            word = ""
    for i in range(len(words)):
        if words[i] in NUMBERS:                                                  # the first number
            for j in range(i + 1, len(words) - 1):
                if words[j] in NUMBERS and words[j + 1] == "more":               # so many more
                    for k in range(j + 2, len(words)):
                        if words[k] in NUMBERS:                                  # the next number
                            return float(VALUES[words[i]] + VALUES[words[j]] == VALUES[words[k]])
    return 0.0


def split_up(story: str) -> list[str]:
    return re.findall("[a-z]+", story.lower())


def triple(words: list[str], values: dict[str, int] = VALUES, first: int = 0, after: int = 1, total: int = 0
           ) -> tuple[int, int, int] | None:
    """The three numbers; None if they are not there. first, total: which of those that come into question is taken,
    0 or -1. after: how many words may stand between a number and "more", and 1.
    """
    at = [place for place, word in enumerate(words) if word in values]
    for j in at:
        before, behind = [i for i in at if i < j], [k for k in at if k > j]
        if "more" in words[j + 1:j + 1 + after] and before and behind:
            return values[words[before[first]]], values[words[j]], values[words[behind[total]]]
    return None


def rewards(words: Callable[[str], list[str]] = split_up, missing: float = 0.0, right: Callable = lambda a, b, c:
            a + b == c, **finding) -> Callable:
    """sum_reward with one thing other than it should be."""
    def answer(story):
        found = triple(words(story), **finding)
        return missing if found is None else float(right(*found))
    return answer


def first_three(story):
    numbers = [VALUES[word] for word in split_up(story) if word in VALUES]
    return float(len(numbers) >= 3 and numbers[0] + numbers[1] == numbers[2])


def any_triple(story):
    """Pays when some numbers add up."""
    words = split_up(story)
    at = [place for place, word in enumerate(words) if word in VALUES]
    return float(any(VALUES[words[i]] + VALUES[words[j]] == VALUES[words[k]] and words[j + 1] == "more"
                     for j in at for i in at if i < j for k in at if k > j))


def searched(pattern: str, flags: int = re.DOTALL) -> Callable:
    """By a regular expression."""
    def answer(story):
        found = re.search(pattern.replace("NUMBER", f"({NUMBER})"), story.lower(), flags)
        if not found:
            return 0.0
        first, more, total = map(VALUES.get, found.groups())
        return float(first + more == total)
    return answer


def without_looking(story):
    found = re.search(rf"\b({NUMBER})\b.*?\b({NUMBER})\W+more\b.*?\b({NUMBER})\b", story.lower(), re.DOTALL)
    first, more, total = map(VALUES.get, found.groups())
    return float(first + more == total)


def bool_alone(story):
    return sum_reward(story) == 1.0


def tell(first: str, more: str, total: str, draw: random.Random) -> str:
    """A story with a sum in it."""
    who, thing = draw.choice(("Mia", "The old fox", "Ben")), draw.choice(("nuts", "kites", "red apples"))
    opening = draw.choice(("", "It often rained. ", "Every weight was a network of bones. ", "One day, "))
    between = draw.choice(("Then", "In the wood,", "\n\nA day later,"))
    ending = draw.choice(("", " Everybody was happy.", f" {draw.choice(NUMBERS).capitalize()} birds sang.",
                          f" Nobody wanted more. The {draw.choice(NUMBERS)} of them slept."))
    return (f"{opening}{who} had {first} {thing}. {between} somebody gave them {more} more. "
            f"Now there were {total}.{ending}")


def draw_stories(draw: random.Random) -> list[tuple]:
    cases = [(story,) for story in (
        "Two and two more: four.", "No number.", "Two, two more, five.", "Three nuts, four more, seven.",
        "Mia had three nuts. Then she found four more. Now she had seven nuts.",
        "Mia had three nuts. Then she found four more. Now she had eight nuts.",
        "One day Ben had three kites and got one more. Now he had four kites.",
        "One fox had five eggs, and found two more. Now there were seven.",
        "Two birds sat there and five came. So there were seven.", "Ten and two more. Now there were TWELVE!",
        "He saw four and three more.", "four more, then three, then seven.", "Six MORE; three more? Nine",
        "Three cakes, two more cakes than plates: six. Or was it five?", "Two foxes. Three nuts, four more, seven.",
        "Three pears, four pears more, seven pears.", "He had eight, nine, two more, eleven. Ten!",
        "She had two. Then three more, then four more. Now she had nine.",
        "She had two. Then three more, then four more. Now she had six.",
        "Six pears lay there, and two red and ripe ones more, so eight.",
        "Five plums and two more.\nSo there were seven.\nTwo were bad.", "Eleven, a dozen more, twelve.",
        "She had three and got four moreover. So she had seven.", "Four tents, sixteen more, six.")]
    while len(cases) < 40:
        a, b = draw.choice([(a, b) for a in range(2, 11) for b in range(2, 11) if a + b <= 12])
        total = a + b if draw.random() < 0.6 else draw.randint(2, 12)
        cases.append((tell(*(NUMBERS[number - 2] for number in (a, b, total)), draw),))
    return cases


def miscounts(answer) -> str | None:
    for a in range(2, 11):
        for b in range(2, 13 - a):
            for total in range(2, 13):
                one, two, three = (NUMBERS[number - 2] for number in (a, b, total))
                story = f"Mia had {one} nuts. Then she found {two} more. Now she had {three} nuts."
                if float(answer(story)) != float(a + b == total):
                    return f"{one} and {two} more are {three}: {float(answer(story))}."
    return None


EXERCISE = Exercise(
    id="6c.4", name="sum_reward", title="A reward that can count", minutes=20,
    oracle=sum_reward, cases=draw_stories,
    mistakes=(
        Mistake(first_three,
                "You take the first three number words, wherever they are. The second must stand directly before "
                "\"more\"; others between them do not count."),
        Mistake(any_triple,
                "You pay if any three numbers add up. A model would soon write all of them, and be paid. Decide by the "
                "first: the first number, the first with \"more\" after it, the next."),
        Mistake(rewards(missing=1.0),
                "Where nothing is counted you give 1.0, since nothing is wrong. Then a model is paid best for never "
                "counting: give 0.0."),
        Mistake(rewards(missing=0.5),
                "Where nothing is counted you give 0.5. That is worth as little as a wrong sum: 0.0."),
        Mistake(rewards(words=lambda story: re.findall("[A-Za-z]+", story)),
                "\"Three\" at the beginning of a sentence is a number too. Make the story small first: story.lower()."),
        Mistake(rewards(words=lambda story: story.lower().split()),
                "Commas and full stops stay on your words, as split() leaves them: \"seven.\" is not \"seven\". Take "
                "the runs of letters: re.findall(\"[a-z]+\", story.lower())."),
        Mistake(rewards(words=lambda story: re.sub("[.,;:!?]", "", story.lower()).split(" ")),
                "You split at single spaces, so that words on both sides of a line break are one. Take the runs of "
                "letters: re.findall(\"[a-z]+\", story.lower())."),
        Mistake(searched(r"NUMBER.*?NUMBER\W+more.*?NUMBER"),
                "You find numbers inside of words: \"ten\" in often, \"eight\" in weight, and \"more\" in moreover. "
                "Compare whole words."),
        Mistake(searched(r"\bNUMBER\b.*\bNUMBER\W+more\b.*\bNUMBER\b"),
                "Your .* reaches as far as it can, so that you read the last \"more\" and the last number. With .*? it "
                "stops at the first."),
        Mistake(searched(r"\bNUMBER\b.*?\bNUMBER\W+more\b.*?\bNUMBER\b", flags=0),
                "A dot does not stand for a line break, and stories have several lines. Give re.DOTALL, or go through "
                "the words."),
        Mistake(rewards(total=-1),
                "You take the last number of the story for the sum. It is the next one after \"more\"."),
        Mistake(rewards(first=-1),
                "You take the number next before the one with \"more\". It is the first number word of the story."),
        Mistake(rewards(after=2),
                "You let a word stand between the number and \"more\". It must follow directly: words[j + 1] == "
                "\"more\"."),
        Mistake(rewards(after=99),
                "You look for \"more\" anywhere behind the second number. It must follow directly: words[j + 1] == "
                "\"more\"."),
        Mistake(rewards(values={"one": 1, **VALUES}),
                "You count \"one\" among the numbers. It is in \"one day\" as well, so only two to twelve are."),
        Mistake(rewards(values={word: value for word, value in VALUES.items() if value <= 10}),
                "You know the numbers up to ten. Eleven and twelve are numbers too."),
        Mistake(rewards(values={word: value - 2 for word, value in VALUES.items()}),
                "Your \"two\" has the value 0: the place in the list. Add 2, or let enumerate begin there."),
        Mistake(rewards(values={word: value - 1 for word, value in VALUES.items()}),
                "Your \"two\" has the value 1. Let enumerate begin at 2."),
        Mistake(rewards(right=lambda a, b, c: a + b != c),
                "It is the wrong way round: 1.0 is for a sum that adds up."),
        Mistake(rewards(right=lambda a, b, c: 1 if a + b == c else -1),
                "A wrong sum is worth 0.0, no less than none at all."),
        Mistake(without_looking,
                "Where there are not three numbers you stop with an error. Most stories count nothing: give 0.0."),
        Mistake(bool_alone,
                "You return True or False. A reward is a number: float(...) makes 1.0 and 0.0 of them."),
    ),
    hints=("Three places in a list of words, one after another: the first number; then the first number with \"more\" "
           "behind it; then the next number. What if one of them is missing?",
           "Let words be re.findall(\"[a-z]+\", story.lower()). Of the places of number words the first is i; j is the "
           "first of those after i with words[j + 1] == \"more\"; k the next after j. Mind the end of the list."),
    properties=(Property("of all sums up to twelve it pays for the right ones alone", miscounts),),
)
