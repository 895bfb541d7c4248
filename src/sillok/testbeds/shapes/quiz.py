"""Questions about clips with their answers, from templates in English and Korean.

Every answer is computed from the clip's numbers. A question is asked only where its answer can be seen and is
no near tie; among the answers that a clip allows, the one given least often so far is asked for, so that a
constant guess gains nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sillok.testbeds.shapes import words
from sillok.testbeds.shapes.clips import Clips
from sillok.testbeds.shapes.scenes import COLOURS, KOREAN_COLOURS, KOREAN_SHAPES, SHAPES
from sillok.testbeds.shapes.truth import (
    body_points,
    clip_labels,
    distance_to,
    heading,
    to_world,
    visible_share,
)

SEEN = 0.5  # share of an object that must show for it to be asked about
_MOST_BOUNCES = 3

_PLURALS = tuple(name + ("es" if name.endswith("s") else "s") for name in SHAPES)


@dataclass(frozen=True)
class Question:
    """A question about one clip.

    Attributes:
        clip: its index.
        kind: one of `KINDS`.
        question, answer: in the language asked for.
        choices: all answers that the template has; `answer` is one of them.
    """

    clip: int
    kind: str
    question: str
    answer: str
    choices: tuple[str, ...]


@dataclass(frozen=True)
class _Candidate:
    """One thing that could be asked: its answer among the choices, and the words in English and Korean."""

    answer: int
    english: str
    korean: str
    choices: tuple[tuple[str, ...], tuple[str, ...]]


class _View:
    """What the templates read: the numbers of all clips, and of clip `i` the objects that can be seen."""

    def __init__(self, clips: Clips) -> None:
        self.clips, self.labels = clips, clip_labels(clips)
        self.share = visible_share(clips)
        self.i = 0

    def at(self, i: int) -> _View:
        self.i = i
        low, high = np.searchsorted(self.clips.events["clip"], [i, i + 1])
        self.events = self.clips.events[low:high]
        self.there = list(range(int(self.clips.count[i])))
        self.clear = bool((self.share[i].max(0)[self.there] >= SEEN).all())
        self.faulty = self.clips.fault is not None
        return self

    @property
    def still(self) -> bool:
        """Whether the clip is a still image."""
        return self.clips.frames == 1

    def names(self, k: int) -> tuple[str, str]:
        return (
            words.noun(self.clips, self.labels, self.i, k, "en"),
            words.noun(self.clips, self.labels, self.i, k, "ko"),
        )

    def seen(self, k: int, frame: int = 0, share: float = SEEN) -> bool:
        return bool(self.share[self.i, frame, k] >= share)

    def bounces(self, k: int) -> NDArray[np.float64]:
        """The times at which object k meets anything."""
        mine = (self.events["object"] == k) | (self.events["other"] == k)
        times: NDArray[np.float64] = self.events["time"][mine]
        return times

    def comes(self, k: int) -> bool:
        """Whether object k moves when it first meets anything: one that stands there is hit, and does not bounce."""
        times = self.bounces(k)
        return not len(times) or bool(self.clips.velocity[self.i, int(times[0]), k].any())

    def bounces_show(self, k: int) -> bool:
        """Whether each bounce of object k is apart from the next, seen, and followed by a frame or more."""
        times = self.bounces(k)
        frames = np.floor(times).astype(int)
        apart = np.diff(times, prepend=-1.0).min(initial=9.0) >= 1
        late = times.max(initial=0.0) > self.clips.frames - 2
        return bool(apart and not late and (self.share[self.i, frames, k] >= SEEN).all())


def _numbers(top: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    digits = tuple(str(number) for number in range(top + 1))
    return digits, digits


def _count(view: _View) -> list[_Candidate]:
    """How many objects there are, of a colour, of a shape, or that move."""
    if not view.clear or view.clips.fault in ("vanish", "recolour", "through"):
        return []
    i, top = view.i, _numbers(view.clips.shape.shape[1])
    shape, colour = view.labels.shape[i], view.labels.colour[i]
    found = [_Candidate(len(view.there), "How many objects are there?", "물체는 모두 몇 개입니까?", top)]
    for c, name in enumerate(COLOURS):
        number = int((colour == c).sum())
        found.append(
            _Candidate(
                number, f"How many {name} objects are there?", f"{KOREAN_COLOURS[c]} 물체는 몇 개입니까?", top
            )
        )
    for s, name in enumerate(_PLURALS):
        number = int((shape == s).sum())
        korean = words.josa(KOREAN_SHAPES[s], "은")
        found.append(_Candidate(number, f"How many {name} are there?", f"{korean} 몇 개입니까?", top))
    path = view.clips.position[i][:, view.there]
    reached = np.linalg.norm(path - path[:1], axis=-1).max(0)
    if not view.still and not ((reached > 1e-6) & (reached < 0.1)).any():
        number = int((reached >= 0.1).sum())
        found.append(_Candidate(number, "How many objects move?", "움직이는 물체는 몇 개입니까?", top))
    return found


def _colour(view: _View) -> list[_Candidate]:
    """The colour of the one object of a shape."""
    if view.clips.fault == "recolour" or not view.clear:
        return []
    choices = (COLOURS, tuple(name + "색" for name in KOREAN_COLOURS))
    shape = view.labels.shape[view.i]
    return [
        _Candidate(
            int(view.labels.colour[view.i, k]),
            f"What colour is the {SHAPES[shape[k]]}?",
            f"{words.josa(KOREAN_SHAPES[shape[k]], '은')} 무슨 색입니까?",
            choices,
        )
        for k in view.there
        if (shape == shape[k]).sum() == 1
    ]


def _shape(view: _View) -> list[_Candidate]:
    """The shape of the one object of a colour."""
    if view.clips.fault == "recolour" or not view.clear:
        return []
    colour = view.labels.colour[view.i]
    return [
        _Candidate(
            int(view.labels.shape[view.i, k]),
            f"What shape is the {COLOURS[colour[k]]} object?",
            f"{KOREAN_COLOURS[colour[k]]} 물체는 어떤 모양입니까?",
            (SHAPES, KOREAN_SHAPES),
        )
        for k in view.there
        if (colour == colour[k]).sum() == 1
    ]


def _existence(view: _View) -> list[_Candidate]:
    """Whether there is an object of a colour and shape; an absent one shares either with an object there."""
    if not view.clear or view.clips.fault == "recolour":
        return []
    shape, colour = view.labels.shape[view.i], view.labels.colour[view.i]
    present = {(int(shape[k]), int(colour[k])) for k in view.there}
    found = []
    for s, name in enumerate(SHAPES):
        for c, tint in enumerate(COLOURS):
            if (s, c) in present or s in shape or c in colour:
                korean = words.josa(f"{KOREAN_COLOURS[c]} {KOREAN_SHAPES[s]}", "이")
                answer = 0 if (s, c) in present else 1
                asked = (f"Is there a {tint} {name}?", f"{korean} 있습니까?")
                found.append(_Candidate(answer, *asked, (("yes", "no"), ("예", "아니요"))))
    return found


def _relation(view: _View) -> list[_Candidate]:
    """On which side of another an object is at the first frame."""
    choices = (words.RELATIONS, tuple(words.RELATION_KO[name] for name in words.RELATIONS))
    found = []
    for a in view.there:
        for b in view.there:
            sides = words.relations(view.clips, view.i, a, b, slice(0, 1)) if a != b else []
            if not sides or not view.seen(a) or not view.seen(b):
                continue
            (first, one), (second, two) = view.names(a), view.names(b)
            english = f"on which side of the {second} is the {first}?"
            korean = f"{words.josa(one, '은')} {two}의 어느 쪽에 있습니까?"
            asked = (
                (english.capitalize(), korean)
                if view.still
                else (f"At the start, {english}", f"처음에 {korean}")
            )
            found.append(_Candidate(words.RELATIONS.index(sides[0]), *asked, choices))
    return found


def _direction(view: _View) -> list[_Candidate]:
    """Which of eight ways an object moves at first, where that lasts a while and the camera stands still."""
    clips, i = view.clips, view.i
    last = min(4, clips.frames - 1)
    if last < 1 or not (clips.camera[i] == clips.camera[i, :1]).all():
        return []
    found = []
    for k in view.there:
        ways = heading(clips.velocity[i, : last + 1, k])
        calm = view.bounces(k).min(initial=np.inf) > last
        if ways[0] < 0 or not calm or (ways != ways[0]).any() or not view.seen(k) or not view.seen(k, last):
            continue
        if clips.fault is not None and clips.fault_object[i] == k and clips.fault_frame[i] <= last:
            continue
        english, korean = view.names(k)
        asked = (
            f"Which way does the {english} move at first?",
            f"{words.josa(korean, '은')} 처음에 어느 쪽으로 움직입니까?",
        )
        found.append(_Candidate(int(ways[0]), *asked, (words.HEADINGS_EN, words.HEADINGS_KO)))
    return found


def _either(view: _View, right: int, wrong: int, english: str, korean: str) -> list[_Candidate]:
    """A choice between two objects, asked with the right one first and with it second."""
    found = []
    for answer, pair in ((0, (right, wrong)), (1, (wrong, right))):
        (first, one), (second, two) = (view.names(k) for k in pair)
        asked = (
            english.format(first, second),
            korean.format(words.josa(one, "과"), two, words.josa(two, "이")),
        )
        found.append(_Candidate(answer, *asked, ((f"the {first}", f"the {second}"), (one, two))))
    return found


def _front(view: _View) -> list[_Candidate]:
    """Which of two overlapping objects is nearer, where both can be seen while they overlap."""
    found = []
    one = view.clips[view.i]
    for a in view.there:
        for b in view.there:
            if view.clips.depth[view.i, a] >= view.clips.depth[view.i, b]:
                continue
            far = to_world(one, body_points(one, b, 64), b)
            hidden = (distance_to(one, far, a)[0] < 0).mean(-1)
            shown = (view.share[view.i, :, a] >= 0.4) & (view.share[view.i, :, b] >= 0.25)
            if (shown & (hidden >= 0.15) & one.exists[0, :, b]).any():
                english = "Where they overlap, which is in front: the {} or the {}?"
                found += _either(view, a, b, english, "{0} {2} 겹칠 때 앞에 있는 것은 무엇입니까?")
    return found


def _order(view: _View) -> list[_Candidate]:
    """Which of two objects bounces first, at least a frame before the other."""
    found = []
    for a in view.there:
        for b in view.there:
            first, second = view.bounces(a), view.bounces(b)
            if a == b or not len(first) or not len(second) or second[0] - first[0] < 1:
                continue
            if not view.comes(a) or not view.comes(b):
                continue
            if (
                view.seen(a, int(first[0]))
                and view.seen(b, int(second[0]))
                and second[0] <= view.clips.frames - 2
            ):
                english = "Which bounces first: the {} or the {}?"
                found += _either(view, a, b, english, "{0} {1} 중 무엇이 먼저 튕깁니까?")
    return found


def _bounces(view: _View) -> list[_Candidate]:
    """How often an object bounces."""
    if view.still or view.faulty:
        return []
    found = []
    for k in view.there:
        number = len(view.bounces(k))
        if (
            number <= _MOST_BOUNCES
            and view.comes(k)
            and view.bounces_show(k)
            and (view.share[view.i, :, k] >= 0.2).all()
        ):
            english, korean = view.names(k)
            asked = (
                f"How many times does the {english} bounce?",
                f"{words.josa(korean, '은')} 몇 번 튕깁니까?",
            )
            found.append(_Candidate(number, *asked, _numbers(_MOST_BOUNCES)))
    return found


_TEMPLATES: dict[str, Callable[[_View], list[_Candidate]]] = {
    "count": _count,
    "colour": _colour,
    "shape": _shape,
    "existence": _existence,
    "relation": _relation,
    "direction": _direction,
    "front": _front,
    "order": _order,
    "bounces": _bounces,
}
KINDS = tuple(_TEMPLATES)


def questions(
    clips: Clips, seed: int = 0, *, kinds: tuple[str, ...] = KINDS, language: str = "en"
) -> list[Question]:
    """One question of each kind about each clip that allows one, by clip and kind.

    What is asked about a clip depends on the seed, on it and on the clips before it (for the balance of the
    answers): more clips append to the list. English and Korean ask the same.

    Args:
        clips: N of them; clips of one frame are asked about as still images.
        seed: of the choice among what could be asked.
        kinds: which of `KINDS`.
        language: en or ko.

    Raises:
        ValueError: an unknown kind or language.
    """
    words.check_language(language)
    for kind in kinds:
        if kind not in _TEMPLATES:
            raise ValueError(f"kinds must be among {', '.join(KINDS)}; got {kind!r}")
    view, korean = _View(clips), language == "ko"
    given: dict[str, Counter[int]] = {kind: Counter() for kind in kinds}
    found = []
    for i in range(len(clips)):
        rng = np.random.default_rng([seed, 13, i])
        view.at(i)
        for kind in kinds:
            candidates = _TEMPLATES[kind](view)
            if not candidates:
                continue
            chosen = _rarest(candidates, given[kind], rng)
            choices = chosen.choices[korean]
            text = chosen.korean if korean else chosen.english
            found.append(Question(i, kind, text, choices[chosen.answer], choices))
    return found


def _rarest(candidates: list[_Candidate], given: Counter[int], rng: np.random.Generator) -> _Candidate:
    """One of the candidates whose answer was given least often, at random, and counted."""
    least = min(given[candidate.answer] for candidate in candidates)
    answers = sorted({candidate.answer for candidate in candidates if given[candidate.answer] == least})
    answer = answers[rng.integers(len(answers))]
    rare = [candidate for candidate in candidates if candidate.answer == answer]
    given[answer] += 1
    return rare[rng.integers(len(rare))]
