"""Captions and questions about clips: exact sentences, Korean particles, answers found again from the pixels."""

from __future__ import annotations

import colorsys
import dataclasses
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sillok.testbeds import shapes
from sillok.testbeds.shapes.motion import Laws

HUES = {"red": 0.0, "yellow": 1 / 7, "green": 1 / 3, "blue": 0.6}


def staged(kinds, places, steps, spins, frames=8, collide=False):
    """One clip with these (shape, colour) objects, places, steps per frame and spins."""
    clips = shapes.sample_clips(1, frames, 0, objects=(len(kinds),) * 2)
    time = np.arange(frames)[None, :, None]
    position = np.array(places)[None, None] + time[..., None] * np.array(steps)[None, None]
    still = np.ones((1, frames, 1))
    return dataclasses.replace(
        clips,
        shape=np.array([[shapes.SHAPES.index(s) for s, _ in kinds]]),
        colour=np.array([[shapes.COLOURS.index(c) for _, c in kinds]]),
        position=position,
        velocity=still[..., None] * np.array(steps)[None, None],
        spin=still * np.array(spins)[None, None],
        events=clips.events[:0],
    )


def both(clips):
    return shapes.clip_captions(clips)[0], shapes.clip_captions(clips, "ko")[0]


def test_the_sentence_of_the_specification():
    clips = staged(
        [("circle", "red"), ("square", "blue")], [(-0.1, -0.5), (0, 0.3)], [(0.02, 0), (0, 0)], [0, 0.1]
    )
    assert both(clips) == (
        "a red circle moves right above a blue square that rotates",
        "빨간 원이 회전하는 파란 사각형 위에서 오른쪽으로 움직인다",
    )


def test_sentences_without_a_relation_and_with_open_syllables():
    clips = staged(
        [("cross", "green"), ("triangle", "yellow"), ("circle", "red")],
        [(-0.5, -0.5), (0.4, 0.4), (0.1, 0.0)],
        [(0.05, 0.05), (0, -0.05), (0, 0)],
        [0.1, 0, 0],
    )
    assert both(clips) == (
        "a green cross moves down and right while rotating, a yellow triangle moves up, and a red circle stands still",
        "초록 십자가가 회전하며 오른쪽 아래로 움직이고, 노란 삼각형이 위쪽으로 움직이고, 빨간 원이 가만히 있다",
    )


def test_still_objects_and_still_images():
    kinds, places = [("cross", "blue"), ("circle", "red")], [(0.6, 0.0), (-0.2, 0.1)]
    clips = staged(kinds, places, [(0, 0), (0, 0)], [0.1, 0])
    assert both(clips) == (
        "a blue cross rotates to the right of a red circle",
        "파란 십자가가 빨간 원 오른쪽에서 회전한다",
    )
    image = staged(kinds, places, [(0, 0), (0, 0)], [0, 0], frames=1)
    assert both(image) == ("a blue cross to the right of a red circle", "빨간 원 오른쪽에 있는 파란 십자가")
    assert both(staged(kinds[::-1], [(0, 0), (0.05, 0)], [(0, 0)] * 2, [0, 0], frames=1)) == (
        "a red circle and a blue cross",
        "빨간 원과 파란 십자가",
    )
    sized = dataclasses.replace(image, size=np.array([[1, 0]]))
    assert shapes.clip_captions(sized, sizes=True) == [
        "a large blue cross to the right of a small red circle"
    ]
    assert shapes.clip_captions(sized, "ko", sizes=True) == ["작은 빨간 원 오른쪽에 있는 큰 파란 십자가"]


def test_bounces_are_told():
    clips = staged(
        [("cross", "red"), ("circle", "blue")], [(-0.5, 0), (0.5, 0.1)], [(0.1, 0), (0, 0)], [0, 0]
    )
    events = np.zeros(1, clips.events.dtype)
    events["kind"], events["object"], events["other"] = "object", 0, 1
    met = dataclasses.replace(clips, events=events)
    assert both(met)[0].startswith("a red cross moves right")
    assert "bounces off the blue circle" in both(met)[0]
    assert both(met)[1].endswith("움직이다가 파란 원에 부딪혀 튕겨 나온다")
    events["kind"], events["other"] = "bottom", -1
    wall = dataclasses.replace(clips, events=events)
    assert "bounces off the floor" in both(wall)[0]
    assert both(wall)[1].endswith("움직이다가 바닥에 부딪혀 튕겨 나온다")


def test_what_is_pushed_stood_still_before():
    clips = staged(
        [("cross", "red"), ("circle", "blue")], [(-0.5, 0), (0.5, 0.1)], [(0.1, 0), (0, 0)], [0, 0]
    )
    events = np.zeros(1, clips.events.dtype)
    events["kind"], events["object"], events["other"], events["frame"] = "object", 0, 1, 4
    clips.position[0, 5:, 1, 0] += np.arange(3) * 0.1
    assert both(dataclasses.replace(clips, events=events)) == (
        "a red cross moves right and bounces off the blue circle, "
        "and a blue circle stands still until the red cross hits it",
        "빨간 십자가가 오른쪽으로 움직이다가 파란 원에 부딪혀 튕겨 나오고, "
        "파란 원이 가만히 있다가 빨간 십자가에 부딪혀 밀려난다",
    )


@given(st.integers(0, 4), st.sampled_from([Laws(), Laws(collide=True), Laws(gravity=(0, 0.004))]))
@settings(max_examples=8, deadline=None)
def test_every_subject_has_its_particle(seed, laws):
    clips = shapes.sample_clips(30, 10, seed, laws=laws, objects=(1, 4))
    for i, text in enumerate(shapes.clip_captions(clips, "ko")):
        names = re.findall(r"(?:빨간|노란|초록|파란) (?:원|사각형|삼각형|십자가)(?:이|가)", text)
        assert len(names) >= 1
        assert not re.search(r"(원|형)(가|는|를|와|로)\b|십자가(이|은|을|과|으로)\b", text)
        assert len(re.findall("빨간|노란|초록|파란", text)) >= clips.count[i]
    for text in shapes.clip_captions(clips):
        assert "  " not in text
        assert not text.endswith(" ")


@pytest.mark.parametrize(
    ("word", "particle", "expected"),
    [
        ("원", "이", "원이"), ("원", "가", "원이"), ("십자가", "이", "십자가가"), ("사각형", "를", "사각형을"),
        ("사과", "을", "사과를"), ("삼각형", "는", "삼각형은"), ("나무", "은", "나무는"), ("별", "와", "별과"),
        ("바다", "과", "바다와"), ("위쪽", "로", "위쪽으로"), ("아래", "으로", "아래로"), ("길", "으로", "길로"),
        ("길", "이", "길이"), ("물", "다", "물이다"), ("나비", "이다", "나비다"), ("3", "이", "3이"),
        ("2", "이", "2가"), ("1", "으로", "1로"), ("6", "으로", "6으로"), ("10", "은", "10은"),
    ],
)  # fmt: skip
def test_particles(word, particle, expected):
    assert shapes.josa(word, particle) == expected


def test_captions_tell_different_clips_apart():
    clips = shapes.sample_clips(300, 8, 0, objects=(1, 1))
    texts = shapes.clip_captions(clips)
    seen = {}
    for i, text in enumerate(texts):
        name = f"{shapes.COLOURS[clips.colour[i, 0]]} {shapes.SHAPES[clips.shape[i, 0]]}"
        assert text.startswith(f"a {name} ")
        seen.setdefault(text, set()).add(int(clips.label[i]))
    assert all(len(labels) == 1 for labels in seen.values())
    assert len(seen) > 100


def hue_name(image, mask):
    hue = colorsys.rgb_to_hsv(*np.median(image[mask], 0))[0]
    return min(HUES, key=lambda name: abs((hue - HUES[name] + 0.5) % 1 - 0.5))


class Witness:
    """Answers questions from images, masks and paths, by the words of the question alone."""

    def __init__(self, clips, pixels=64):
        self.clips = clips
        self.images, self.masks = shapes.render_clips(clips, pixels)

    def look(self, i):
        self.i, self.names = i, {}
        for k in sorted(set(np.unique(self.masks[i])) - {0}):
            frame = (self.masks[i] == k).sum((1, 2)).argmax()
            colour = hue_name(self.images[i, frame], self.masks[i, frame] == k)
            self.names[(colour, shapes.SHAPES[self.clips.shape[i, k - 1]])] = int(k) - 1
        return self

    def find(self, text):
        found = re.findall(r"(red|yellow|green|blue) (circle|square|triangle|cross)", text)
        return [self.names[name] for name in found]

    def only(self, *objects):
        """The clips with these objects alone."""
        there = np.isin(np.arange(self.clips.shape.shape[1]), objects)
        return dataclasses.replace(self.clips, exists=self.clips.exists & there)

    def turns(self, k):
        """Frames after which the path of object k bends."""
        return np.flatnonzero(np.abs(np.diff(self.clips.velocity[self.i, :, k], axis=0)).max(-1) > 1e-9)

    def count(self, text):
        if "move" in text:
            path = self.clips.position[self.i]
            return str(sum(np.abs(path[:, k] - path[0, k]).max() > 1e-6 for k in self.names.values()))
        word = re.search(r"How many (\w+)", text)[1]
        kinds = [name for name in self.names if word in (name[0], name[1] + "s", name[1] + "es", "objects")]
        return str(len(kinds))

    def colour(self, text):
        (answer,) = [c for c, s in self.names if s in text]
        return answer

    def shape(self, text):
        (answer,) = [s for c, s in self.names if c in text]
        return answer

    def existence(self, text):
        asked = re.search(r"a (\w+) (\w+)\?", text)
        return "yes" if (asked[1], asked[2]) in self.names else "no"

    def relation(self, text):
        other, one = self.find(text)
        x, y = self.clips.position[self.i, 0, one] - self.clips.position[self.i, 0, other]
        if abs(x) > abs(y):
            return "left" if x < 0 else "right"
        return "above" if y < 0 else "below"

    def direction(self, text):
        (k,) = self.find(text)
        (mask,) = shapes.render_clips(self.only(k)[self.i], 64)[1]
        centre = [np.argwhere(mask[t]).mean(0) for t in (0, 3)]
        y, x = centre[1] - centre[0]
        return int(np.round(np.arctan2(y, x) / (np.pi / 4))) % 8

    def front(self, text):
        a, b = self.find(text)
        hidden = {}
        for k in (a, b):
            one, two = (
                shapes.render_clips(c[self.i], 64)[1] == k + 1 for c in (self.only(k), self.only(a, b))
            )
            hidden[k] = int(one.sum()) - int(two.sum())
        return "the " + " ".join(next(n for n, k in self.names.items() if k == min(hidden, key=hidden.get)))

    def order(self, text):
        a, b = self.find(text)
        first = a if self.turns(a)[0] < self.turns(b)[0] else b
        return "the " + " ".join(next(name for name, k in self.names.items() if k == first))

    def bounces(self, text):
        (k,) = self.find(text)
        return str(len(self.turns(k)))


@pytest.mark.parametrize("options", [{"objects": (1, 4)}, {"objects": (2, 4), "laws": Laws(collide=True)}])
def test_answers_are_found_again_from_pixels_and_paths(options):
    clips = shapes.sample_clips(120, 14, 3, **options)
    witness, seen = Witness(clips), Counter()
    for asked in shapes.questions(clips, 5):
        found = getattr(witness.look(asked.clip), asked.kind)(asked.question)
        found = asked.choices[found] if isinstance(found, int) else found
        assert found == asked.answer, asked
        assert asked.answer in asked.choices
        seen[asked.kind] += 1
    assert set(seen) >= set(shapes.KINDS) - ({"front"} if "laws" in options else set())
    assert min(seen.values()) >= 9


def test_still_images_are_asked_about_too():
    clips = shapes.sample_clips(60, 1, 2, objects=(2, 4))
    asked = shapes.questions(clips)
    assert {q.kind for q in asked} == {"count", "colour", "shape", "existence", "relation", "front"}
    assert not any("start" in q.question for q in asked)
    witness = Witness(clips)
    for q in asked:
        assert getattr(witness.look(q.clip), q.kind)(q.question) == q.answer, q


def test_a_constant_guess_gains_nothing():
    clips = shapes.sample_clips(400, 12, 1, objects=(2, 3))
    asked = shapes.questions(clips)
    for kind in ("count", "colour", "shape", "existence", "relation", "direction"):
        given = Counter(q.answer for q in asked if q.kind == kind)
        options = len(next(q.choices for q in asked if q.kind == kind))
        assert len(given) == options, kind
        assert max(given.values()) < 1.35 * sum(given.values()) / options, (kind, given)
    for kind in ("front", "order"):
        first = [q.answer == q.choices[0] for q in asked if q.kind == kind]
        assert 0.4 < np.mean(first) < 0.6


def test_near_ties_are_not_asked():
    kinds = [("circle", "red"), ("square", "blue")]
    level = staged(kinds, [(0.05, 0.0), (-0.05, 0.0)], [(0, 0)] * 2, [0, 0], frames=1)
    slanted = staged(kinds, [(0.42, 0.4), (-0.4, -0.4)], [(0, 0)] * 2, [0, 0], frames=1)
    clear = staged(kinds, [(0.5, 0.1), (-0.5, 0.0)], [(0, 0)] * 2, [0, 0], frames=1)
    assert not shapes.questions(level, kinds=("relation",))
    assert not shapes.questions(slanted, kinds=("relation",))
    assert {q.answer for q in shapes.questions(clear, kinds=("relation",))} <= {"left", "right"}
    assert len(shapes.questions(clear, kinds=("relation",))) == 1


def test_what_is_hit_is_not_said_to_bounce():
    clips = shapes.sample_clips(80, 14, 3, objects=(2, 4), laws=Laws(collide=True), still=0.6)
    asked = shapes.questions(clips, kinds=("order", "bounces"))
    assert len(asked) > 20
    witness = Witness(clips, 16)
    for q in asked:
        for k in witness.look(q.clip).find(q.question):
            moved = np.abs(clips.velocity[q.clip, 0, k]).max() > 0
            assert moved or not len(witness.turns(k)), q


def test_hidden_objects_are_not_counted_on():
    clips = staged([("square", "red"), ("circle", "blue")], [(0, 0), (0, 0)], [(0, 0)] * 2, [0, 0])
    covered = dataclasses.replace(
        clips, radius=np.array([[0.5, 0.2]]), depth=np.array([[0.2, 0.8]]), fault_frame=clips.fault_frame
    )
    assert not shapes.questions(covered, kinds=("count", "colour", "shape", "existence", "front"))


def test_questions_append_and_both_languages_ask_the_same():
    clips = shapes.sample_clips(40, 12, 7)
    long, short = shapes.questions(clips, 3), shapes.questions(clips[:15], 3)
    assert long[: len(short)] == short
    korean = shapes.questions(clips, 3, language="ko")
    assert len(korean) == len(long)
    for one, two in zip(long, korean, strict=True):
        assert (one.clip, one.kind) == (two.clip, two.kind)
        assert one.choices.index(one.answer) == two.choices.index(two.answer)
        assert len(one.choices) == len(two.choices)
        assert re.search("[가-힣]", two.question)
        assert not re.search(r"(원|형|물체)(가|는|를|와)\b", two.question.replace("물체는", "물체"))
        assert not re.search(r"십자가(이|은|을|과)\b", two.question)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda c: shapes.clip_captions(c, "fr"), "language must be en or ko; got 'fr'"),
        (lambda c: shapes.questions(c, language="fr"), "language must be en or ko; got 'fr'"),
        (lambda c: shapes.questions(c, kinds=("mood",)), "kinds must be among count, colour"),
        (lambda c: shapes.josa("원", "에서"), "particle must be one of 이/가"),
        (
            lambda c: shapes.josa("circle", "이"),
            "word must end in a Hangul syllable or a digit; got 'circle'",
        ),
        (lambda c: shapes.josa("", "이"), "word must end in"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call(shapes.sample_clips(1, 2))
