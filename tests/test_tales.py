"""The story world: what is known about a story stands in it, and a reader finds what is wrong with one."""
import re
import subprocess
import sys
from collections import Counter

import pytest

from helpers import tales as world
from helpers import tales_overlap
from helpers.corpora import tales
from helpers.tales_reading import cause, holders, plain
from helpers.tales_telling import HERO, OTHER, SHARED, THING, TOLD
from helpers.tales_world import ANIMALS, BOYS, CHILDREN, GIRLS, NUMBERS, OBJECTS, PLOTS

HASHED = "from helpers.corpora import tales; import zlib; print(zlib.crc32(repr(tales(50, 9, 'held_out')).encode()))"


@pytest.fixture(scope="module")
def training():
    return tales(20_000, seed=0)


@pytest.fixture(scope="module")
def held_out():
    return tales(20_000, seed=0, split="held_out")


@pytest.fixture(scope="module")
def words_of_training(training):
    text = "".join(tale.text + world.END for tale in training)
    return text, set(re.findall(r"\w+", text))


@pytest.fixture(params=["training", "held_out"])
def some(request):
    return request.getfixturevalue(request.param)[:1_000]


def continuation(tale):
    return tale.text[len(world.opening(tale)):]


# ---- how stories are drawn

def test_a_larger_number_gives_the_same_first():
    assert tales(10, seed=3) == tales(20, seed=3)[:10] != tales(10, seed=4)


def test_no_stories():
    assert tales(0) == []


def test_the_same_in_another_process():
    seen = {subprocess.run([sys.executable, "-c", HASHED], env={"PYTHONHASHSEED": seed}, cwd=".", capture_output=True,
                           text=True, check=True).stdout for seed in ("1", "2")}
    assert len(seen) == 1


@pytest.mark.parametrize(("arguments", "sentence"), [
    ({"n": -1}, "n is -1; give the number of stories, 0 or more."),
    ({"n": 2.5}, "n is 2.5; give the number of stories, 0 or more."),
    ({"n": True}, "n is True; give the number of stories, 0 or more."),
    ({"n": 1, "split": "test"}, "split is 'test'; choose one of train, held_out."),
])
def test_wrong_arguments_are_named(arguments, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        tales(**arguments)


# ---- the splits

def combinations(stories):
    return {(who, tale.facts.object) for tale in stories for who in (tale.facts.hero, tale.facts.other)}


def test_training_has_no_held_out_combination(training, held_out):
    heroes = {(tale.facts.hero, tale.facts.object) for tale in held_out}
    assert not heroes & combinations(training)
    assert all(world.held_out_pair(*pair) for pair in heroes) and len(heroes) == 96
    sums, seen = ({tale.facts.sum for tale in stories} - {None} for stories in (held_out, training))
    assert len(sums) == 6 and not sums & seen and len(seen) == 37


def test_a_story_of_training_names_no_held_out_combination_in_its_words(training):
    for tale in training[:5_000]:
        words = set(re.findall("[A-Za-z]+", tale.text))
        things = words & set(OBJECTS)
        assert things == {tale.facts.object}, tale.text
        assert words & set(CHILDREN + ANIMALS) == {tale.facts.hero, tale.facts.other}, tale.text


def test_training_has_every_word_of_the_held_out_stories(training, held_out):
    seen, asked = ({word for tale in stories for word in re.findall("[a-z]+", tale.text.lower())}
                   for stories in (training, held_out))
    assert asked <= seen and len(seen) >= 400


def test_every_plot_ends_both_ways(training):
    plots = Counter((tale.facts.plot, tale.facts.ending) for tale in training)
    assert set(plots) == {(plot, ending) for plot in PLOTS for ending in ("happy", "sad")} and len(PLOTS) >= 12
    assert min(plots.values()) > 400


def test_about_half_of_the_stories_have_a_sum_and_half_an_it(training):
    for fact in ("sum", "it"):
        assert 0.4 < sum(getattr(tale.facts, fact) is not None for tale in training) / len(training) < 0.6
    means = Counter(tale.facts.it in ANIMALS for tale in training if tale.facts.it)
    assert 0.2 < means[True] / means.total() < 0.8


def test_stories_are_short(training):
    lengths = sorted(len(tale.text.split()) for tale in training)
    assert 90 < sum(lengths) / len(lengths) < 120 and lengths[0] > 45 and lengths[-1] < 180


# ---- the words

def test_plain_words_and_one_paragraph(some):
    for tale in some:
        assert tale.text.isascii() and tale.text.isprintable() and "  " not in tale.text and "{" not in tale.text
        assert "*" not in tale.text and tale.text == tale.text.strip()
        assert tale.text.count('"') % 2 == 0
        for first in re.findall(r'(?:^|[.!?] "?|\." "?)(\w)', tale.text):
            assert first.isupper(), tale.text


def test_a_before_consonants_and_an_before_vowels(some):
    for tale in some:
        for text in (tale.text, tale.request.text):
            for article, letter in re.findall(r"\b(an?) (\w)", text, re.IGNORECASE):
                assert (article.lower() == "an") == (letter in "aeiou"), text


def test_pronouns_fit_who_is_there(some):
    for tale in some:
        there, words = {tale.facts.hero, tale.facts.other}, set(re.findall("[a-z]+", tale.text.lower()))
        assert not words & {"she", "her", "herself"} or there & set(GIRLS), tale.text
        assert not words & {"he", "him", "his", "himself"} or there & set(BOYS), tale.text


def test_facts_stand_in_the_text(some):
    for tale in some:
        facts, text = tale.facts, tale.text
        assert facts.hero in text and facts.other in text and facts.object in world.opening(tale)
        assert (facts.it is not None) == ("because it was too" in text)
        assert facts.where is None or facts.where in text
        assert facts.holder in (facts.hero, facts.other, "nobody")
        assert tale.request.place is None or tale.request.place == facts.place and facts.place in text
        assert tale.request.who == facts.hero and tale.request.object == facts.object
        told = [NUMBERS.index(word) for word in re.findall("[a-z]+", text) if word in NUMBERS[2:]]
        if facts.sum is not None:
            first, more, together = facts.sum
            assert first + more == together and facts.sum == tuple(
                number for number in told if number in facts.sum)[:3], text


def test_it_is_told_by_the_adjective(some):
    for tale in some:
        adjective = re.search(r"because it was too (\w+)", tale.text)
        if adjective and adjective[1] in ("tired", "weak", "dizzy"):
            assert tale.facts.it in (tale.facts.hero, tale.facts.other)
        elif adjective:
            assert tale.facts.it not in CHILDREN + ANIMALS


def test_an_opening_is_the_start_of_a_story(some):
    for tale in some:
        opening = world.opening(tale)
        assert tale.text.startswith(opening + " ") and 10 <= len(opening.split()) <= 50
        assert tale.facts.object in opening


def test_the_turn_begins_a_sentence_and_holds_the_cause_of_the_ending(training, held_out):
    for tale in training[:2_000] + held_out[:2_000]:
        before, turn = tale.text[:tale.turn_at], tale.text[tale.turn_at:]
        assert before.startswith(world.opening(tale)) and before[-1] in '.!?"' and turn[0] == " "
        assert cause(plain(turn)) == tale.facts.ending, tale.text


def test_instruction_text():
    tale = tales(1)[0]
    assert world.instruction_text(tale) == f"<|user|>{tale.request.text}<|assistant|>{tale.text}<|end|>"


# ---- the reader

def test_every_story_is_consistent_and_answers_its_request(training, held_out):
    for tale in training[:3_000] + held_out[:3_000]:
        score = world.consistent(world.opening(tale), continuation(tale) + world.END)
        assert score.ok and score.why == (), (tale.text, score)
        assert score.sum is (True if tale.facts.sum else None), tale.text
        assert world.follows(tale.request, tale.text).ok, (tale.text, tale.request)


def last_sentence(text):
    return text[text.rindex(". ") + 2:]


def damaged(kind, tale):
    """What goes on after the opening, with one thing exchanged; None where the story lacks it."""
    facts, text = tale.facts, continuation(tale)
    if kind == "a stranger":
        stranger = "Emma" if facts.hero in BOYS else "Tom"
        return None if stranger in tale.text else re.sub(rf"\b(the )?{facts.hero}\b", stranger, text, count=1)
    if kind == "he or she":
        child = [who for who in (facts.hero, facts.other) if who in CHILDREN]
        if len(child) != 1 or not re.search(r"\b(he|she)\b", text):
            return None
        return re.sub(r"\b(he|she)\b", lambda match: {"he": "she", "she": "he"}[match[0]], text, count=1)
    if kind == "another object":
        return re.sub(rf"\b{facts.object}\b", "bell" if facts.object != "bell" else "drum", text, count=1)
    if kind == "another holder":
        who, other = (name if name in CHILDREN else f"the {name}" for name in (facts.hero, facts.other))
        whose = {facts.hero: (who, other), facts.other: (other, who)}.get(facts.holder)
        hold = text.removesuffix(last_sentence(text)).rstrip()
        if whose is None:
            return None
        before, closing = hold[:hold.rindex(". ") + 2], hold[hold.rindex(". ") + 2:]
        swapped = closing.replace(*whose).replace(whose[0].capitalize() + " ", whose[1].capitalize() + " ")
        return f"{before}{swapped} {last_sentence(text)}"
    if kind == "another ending":
        other = SHARED["sad" if facts.ending == "happy" else "happy"][0]
        return text.removesuffix(last_sentence(text)) + other.format(Hero=facts.hero)
    if kind == "no ending":
        return " ".join(text.split()[:-12])
    if kind == "another sum":
        wrong = NUMBERS[facts.sum[2] - 1 if facts.sum[2] > 4 else 7] if facts.sum else ""
        return re.sub(rf"(more.*?)\b{NUMBERS[facts.sum[2]]}\b", rf"\1{wrong}", text, count=1) if facts.sum else None
    raise AssertionError(kind)


@pytest.mark.parametrize(("kind", "part"), [
    ("a stranger", "names"), ("he or she", "names"), ("another object", "object"), ("another holder", "object"),
    ("another ending", "ending"), ("no ending", "complete"), ("another sum", "sum")])
def test_damage_is_found(kind, part, some):
    pairs = [(tale, text) for tale in some if (text := damaged(kind, tale)) is not None]
    assert len(pairs) > 100
    found = [not getattr(world.consistent(world.opening(tale), text), part) for tale, text in pairs]
    assert sum(found) > 0.98 * len(found), [text for (_, text), ok in zip(pairs, found, strict=True) if not ok][:3]


def test_a_story_that_was_not_asked_for(some):
    for tale in some[:500]:
        assert not world.follows(tale.request, tale.text.replace(tale.facts.hero, "giant")).who
        assert not world.follows(tale.request, tale.text.replace(tale.facts.object, "thing")).object
        sad = world.Request(tale.facts.hero, tale.facts.object, "sad" if tale.facts.ending == "happy" else "happy",
                            "desert", "")
        asked = world.follows(sad, tale.text)
        assert asked.who and asked.object and not asked.ending and not asked.place and not asked.ok


@pytest.mark.parametrize("text", ["", " ", "\n\n", "...", '"', "<|end|>", "<|user|><|user|>", "the the the", "é 漢字",
                                  "Mia", "a " * 5_000, "{hero} {x}", "\\1 \\b (", "Mia gave the to the",
                                  "one two more"])
def test_odd_text_is_read_without_an_error(text):
    for opening in ("", text, "Mia was a little girl. She had a red kite."):
        assert not world.consistent(opening, text).ok
        assert not world.follows(tales(1)[0].request, text).ok


def test_what_follows_the_end_does_not_count():
    tale = tales(1)[0]
    assert world.consistent(world.opening(tale), continuation(tale) + world.END + "Tom sold a drum").ok


@pytest.mark.parametrize("kind", ["happy", "sad"])
def test_every_turn_says_who_has_the_object(kind):
    words = HERO["fox"] | OTHER["Tom", "fox"] | THING["kite", "red", "fox", "Mia"] | {"spot": "under a bush"}
    for plot in TOLD:
        for holder, ways in plot.turns[kind]:
            for way in ways:
                x = "the fox" if holder == "hero" else "Tom"
                got, has = holders(plain(way.format_map(words | {"x": x, "X": x})), "kite")
                assert got == has == {"hero": "fox", "other": "tom"}.get(holder, holder), (plot.name, way)


# ---- what was copied

def test_the_longest_run_of_words_is_found():
    stories = ["the fox had a red kite and a drum .", "a bird sang ; the fox had a blue kite"]
    assert world.longest_overlap("see the fox had a red kite fly", stories) == "the fox had a red kite"
    assert world.longest_overlap("a blue kite the", stories) == "a blue kite"      # not into the next story
    assert world.longest_overlap("and a drum . a bird", stories) == "and a drum ."
    assert world.longest_overlap("whale", stories) == world.longest_overlap("", stories) == ""
    assert world.longest_overlap("whale", []) == ""


def test_a_list_that_was_changed_in_place_is_read_anew_and_one_that_was_not_is_not():
    stories = ["the fox had a red kite", "a bird sang"]
    assert world.longest_overlap("her blue kite", stories) == "kite"
    stories[1] = "the fox had a blue kite"
    assert world.longest_overlap("her blue kite", stories) == "blue kite"
    made = tales_overlap.index.cache_info().misses
    assert world.longest_overlap("her red kite", list(stories)) == "red kite"       # the same stories in another list
    assert tales_overlap.index.cache_info().misses == made


def test_the_longest_run_equals_that_of_plain_search(training, held_out):
    known = [f" {tale.text} " for tale in training[:300]]

    def stands(words):
        return any(f" {' '.join(words)} " in text for text in known)

    for tale in held_out[:5]:
        words = tale.text.split()
        n = len(world.longest_overlap(tale.text, training[:300]).split())
        assert any(stands(words[i:i + n]) for i in range(len(words) - n + 1))
        assert not any(stands(words[i:i + n + 1]) for i in range(len(words) - n))


def test_a_copied_story_is_found_whole(training):
    text = training[77].text
    assert len(text.split()) > 50 and world.longest_overlap(f"Well, {text} Yes.", training[:2_000]) == text


# ---- minimal pairs

@pytest.mark.parametrize("ability", world.ABILITIES)
def test_what_is_right_once_is_wrong_once(ability):
    pairs = world.minimal_pairs(ability, 300, seed=1)
    assert Counter(right for _, right, _ in pairs) == Counter(wrong for _, _, wrong in pairs)
    assert all(len(right.split()) == len(wrong.split()) and right != wrong for _, right, wrong in pairs)
    assert all(right[0] == wrong[0] == " " and not begin.endswith(" ") for begin, right, wrong in pairs)
    assert len(set(pairs)) == 300
    assert pairs == world.minimal_pairs(ability, 300, seed=1) != world.minimal_pairs(ability, 300, seed=2)
    assert pairs[:7] == world.minimal_pairs(ability, 7, seed=1)


@pytest.mark.parametrize("ability", world.ABILITIES)
def test_no_pair_stands_in_training(ability, words_of_training):
    text, words = words_of_training
    for begin, right, wrong in world.minimal_pairs(ability, 100, seed=3):
        assert begin not in text
        assert set(re.findall(r"\w+", begin + right + wrong)) <= words


@pytest.mark.parametrize(("ability", "n", "sentence"), [
    ("poetry", 2, "ability is 'poetry'; choose one of grammar, context, logic, knowledge, intent, style."),
    ("style", -2, "n is -2; give the number of pairs, 0 or more."),
])
def test_wrong_pairs_are_named(ability, n, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        world.minimal_pairs(ability, n)


def test_the_table_counts(training):
    rows = world.table(2_000).splitlines()
    assert len(rows) == 11 and all(row.count("|") == 5 for row in rows)
    assert "| sum | first, more, together | " in rows[-1] and "6 of 43 pairs of numbers" in rows[-1]
    assert "18: lost, share" in rows[2]
