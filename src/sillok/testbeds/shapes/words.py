"""What a clip shows, said in English and in Korean.

Everything said is computed from the clip's numbers; where a statement would be a near tie (two objects almost
level, say) it is not made.
"""

from __future__ import annotations

import numpy as np

from sillok.testbeds.shapes.clips import Clips
from sillok.testbeds.shapes.scenes import COLOURS, KOREAN_COLOURS, KOREAN_SHAPES, SHAPES
from sillok.testbeds.shapes.truth import Labels, clip_labels

LANGUAGES = ("en", "ko")
MARGIN = 0.12  # half widths by which one centre must be clear of another to be called left of it, or above

RELATIONS = ("left", "right", "above", "below")
_RELATION_EN = {
    "left": "to the left of",
    "right": "to the right of",
    "above": "above",
    "below": "below",
}
RELATION_KO = {"left": "왼쪽", "right": "오른쪽", "above": "위", "below": "아래"}
HEADINGS_EN = (
    "right",
    "down and right",
    "down",
    "down and left",
    "left",
    "up and left",
    "up",
    "up and right",
)
HEADINGS_KO = ("오른쪽", "오른쪽 아래", "아래쪽", "왼쪽 아래", "왼쪽", "왼쪽 위", "위쪽", "오른쪽 위")
WALLS_EN = {"left": "left wall", "right": "right wall", "top": "ceiling", "bottom": "floor"}
WALLS_KO = {"left": "왼쪽 벽", "right": "오른쪽 벽", "top": "천장", "bottom": "바닥"}
_SIZES_KO = ("작은", "큰")
_SIZES_EN = ("small", "large")

# particle after a consonant, after a vowel; 으로 and 로 besides: a final ㄹ counts as a vowel there
_JOSA = (("이", "가"), ("을", "를"), ("은", "는"), ("과", "와"), ("으로", "로"), ("이다", "다"))


def josa(word: str, particle: str) -> str:
    """A Korean word with its particle in the form that the word's last sound asks for.

    Args:
        word: ends in a Hangul syllable or in a digit (which is read as Sino-Korean).
        particle: either form of a pair: 이/가, 을/를, 은/는, 과/와, 으로/로, 이다/다.

    Raises:
        ValueError: another particle, or a word whose last sound cannot be told from its spelling.
    """
    pair = next((pair for pair in _JOSA if particle in pair), None)
    if pair is None:
        known = ", ".join("/".join(pair) for pair in _JOSA)
        raise ValueError(f"particle must be one of {known}; got {particle!r}")
    last = word[-1:]
    if "가" <= last <= "힣":
        final = (ord(last) - ord("가")) % 28
    elif last in tuple("0123456789"):  # 영 일 이 삼 사 오 육 칠 팔 구
        final = (21, 8, 0, 16, 0, 0, 1, 8, 8, 0)[int(last)]
    else:
        raise ValueError(f"word must end in a Hangul syllable or a digit; got {word!r}")
    closed = final != 0 and not (pair[0] == "으로" and final == 8)
    return word + pair[0 if closed else 1]


def noun(clips: Clips, labels: Labels, i: int, k: int, language: str, *, sized: bool = False) -> str:
    """Colour and shape of object k of clip i, without article; with its size if `sized`."""
    shape, colour, size = (int(part[i, k]) for part in (labels.shape, labels.colour, labels.size))
    if language == "en":
        words = [_SIZES_EN[size]] * sized + [COLOURS[colour], SHAPES[shape]]
    else:
        words = [_SIZES_KO[size]] * sized + [KOREAN_COLOURS[colour], KOREAN_SHAPES[shape]]
    return " ".join(words)


def relations(clips: Clips, i: int, a: int, b: int, frames: slice = slice(None)) -> list[str]:
    """In which of `RELATIONS` object a stands to object b in all of the given frames of clip i."""
    apart = clips.position[i, frames, a] - clips.position[i, frames, b]
    x, y = apart[:, 0], apart[:, 1]
    true = {
        "left": (x < -MARGIN) & (np.abs(x) > 1.2 * np.abs(y)),
        "right": (x > MARGIN) & (np.abs(x) > 1.2 * np.abs(y)),
        "above": (y < -MARGIN) & (np.abs(y) > 1.2 * np.abs(x)),
        "below": (y > MARGIN) & (np.abs(y) > 1.2 * np.abs(x)),
    }
    return [name for name in RELATIONS if true[name].all()]


def check_language(language: str) -> None:
    """Raise ValueError when `language` is neither en nor ko."""
    if language not in LANGUAGES:
        raise ValueError(f"language must be en or ko; got {language!r}")


def clip_captions(clips: Clips, language: str = "en", *, sizes: bool = False) -> list[str]:
    """One caption for each clip: what is there, how it moves at first, what it bounces off, where it stands.

    A relation ("above") is stated where it holds in every frame. Motion is told as in the room: a moving
    camera changes nothing. A planted fault is not told. A clip of one frame is described as a still
    image, without motion.

    Args:
        clips: N of them.
        language: en or ko.
        sizes: whether to say small and large.

    Raises:
        ValueError: another language.
    """
    check_language(language)
    labels = clip_labels(clips)
    return [_Caption(clips, labels, i, language, sizes).text() for i in range(len(clips))]


class _Caption:
    """The caption of one clip."""

    def __init__(self, clips: Clips, labels: Labels, i: int, language: str, sizes: bool) -> None:
        self.clips, self.labels, self.i, self.korean, self.sizes = clips, labels, i, language == "ko", sizes
        low, high = np.searchsorted(clips.events["clip"], [i, i + 1])
        self.events = clips.events[low:high]

    def name(self, k: int) -> str:
        return noun(self.clips, self.labels, self.i, k, "ko" if self.korean else "en", sized=self.sizes)

    def moves(self, k: int) -> bool:
        """Whether the object goes anywhere in the clip, pushed or by itself."""
        path = self.clips.position[self.i, :, k]
        return bool(np.abs(path - path[0]).max() > 1e-6)

    def spins(self, k: int) -> bool:
        return bool(self.clips.frames > 1 and self.labels.spin[self.i, k] > 0)

    def text(self) -> str:
        count = int(self.clips.count[self.i])
        # what moves is spoken of first, and then what only stands there
        order = sorted(range(count), key=lambda k: (not self.moves(k), not self.spins(k), k))
        first, rest = order[0], order[1:]
        anchor = next(
            (
                (k, kinds[0])
                for k in rest
                if (kinds := relations(self.clips, self.i, first, k)) and self.plain(k)
            ),
            None,
        )
        if anchor is not None:
            rest = [k for k in rest if k != anchor[0]]
        return (
            self.korean_text(first, anchor, rest) if self.korean else self.english_text(first, anchor, rest)
        )

    def pushed(self, k: int) -> bool:
        """Whether object k stands still until another one hits it."""
        path = self.clips.position[self.i, :, k]
        first = next((e for e in self.events if k in (e["object"], e["other"])), None)
        return (
            first is not None
            and int(first["other"]) >= 0
            and int(self.labels.heading[self.i, k]) == -1
            and bool(np.abs(path[: int(first["frame"]) + 1] - path[0]).max() < 1e-9)
        )

    def plain(self, k: int) -> bool:
        """Whether a relative clause says all that the object does: it stands, or turns in place."""
        return not self.moves(k)

    def english(self, k: int, where: str = "") -> str:
        """What object k does (and where), in the third person; only where, for a still image."""
        if self.clips.frames == 1:
            return where
        if not self.moves(k):
            return ("rotates" if self.spins(k) else "stands still") + where
        heading, bounce = int(self.labels.heading[self.i, k]), self.bounce(k)
        if self.pushed(k):
            return f"{'rotates' if self.spins(k) else 'stands still'}{where} until {bounce} hits it"
        said = f"moves {HEADINGS_EN[heading]}" if heading >= 0 else "moves"
        said += " while rotating" * self.spins(k) + where
        return said + (f"{',' * bool(where)} and bounces off {bounce}" if bounce else "")

    def bounce(self, k: int) -> str:
        """What object k meets first, with its article or bare in Korean; empty if nothing."""
        for event in self.events:
            if event["object"] == k and event["other"] < 0:
                return WALLS_KO[event["kind"]] if self.korean else "the " + WALLS_EN[event["kind"]]
            if event["other"] >= 0 and k in (event["object"], event["other"]):
                other = self.name(int(event["object"] + event["other"] - k))
                return other if self.korean else "the " + other
        return ""

    def english_text(self, first: int, anchor: tuple[int, str] | None, rest: list[int]) -> str:
        where = ""
        if anchor is not None:
            where = f" {_RELATION_EN[anchor[1]]} a {self.name(anchor[0])}" + " that rotates" * self.spins(
                anchor[0]
            )
        clauses = [f"a {self.name(first)} {self.english(first, where).strip()}".strip()]
        clauses += [f"a {self.name(k)} {self.english(k)}".strip() for k in rest]
        if len(clauses) == 1 or self.clips.frames > 1:
            return ", ".join([*clauses[:-1], "and " * (len(clauses) > 1) + clauses[-1]])
        return f"{', '.join(clauses[:-1])} and {clauses[-1]}"

    def korean_verb(self, k: int, last: bool) -> str:
        """What object k does, as the end of the sentence or to be gone on from."""
        ends = 0 if last else 1
        if not self.moves(k):
            stays = (
                ("제자리에서 회전한다", "제자리에서 회전하고")
                if self.spins(k)
                else ("가만히 있다", "가만히 있고")
            )
            return stays[ends]
        heading, bounce = int(self.labels.heading[self.i, k]), self.bounce(k)
        if self.pushed(k):
            before = "제자리에서 회전하다가" if self.spins(k) else "가만히 있다가"
            return f"{before} {bounce}에 부딪혀 {('밀려난다', '밀려나고')[ends]}"
        way = josa(HEADINGS_KO[heading], "으로") + " " if heading >= 0 else ""
        turning = "회전하며 " * self.spins(k)
        if bounce:
            return f"{turning}{way}움직이다가 {bounce}에 부딪혀 {('튕겨 나온다', '튕겨 나오고')[ends]}"
        return turning + way + ("움직인다", "움직이고")[ends]

    def korean_text(self, first: int, anchor: tuple[int, str] | None, rest: list[int]) -> str:
        where = ""
        if anchor is not None:
            turning = "회전하는 " * self.spins(anchor[0])
            where = f"{turning}{self.name(anchor[0])} {RELATION_KO[anchor[1]]}"
        if self.clips.frames == 1:
            lead = f"{where}에 있는 {self.name(first)}" if where else self.name(first)
            names = [lead, *(self.name(k) for k in rest)]
            return " ".join([*(josa(name, "과") for name in names[:-1]), names[-1]])
        if where and self.moves(first):
            where += "에서"
        elif where:
            where += "에"
        clauses = []
        for k in [first, *rest]:
            last = k == [first, *rest][-1]
            verb = self.korean_verb(k, last)
            if k == first and where and not self.moves(k):
                verb = f"{where}{'서 회전' if self.spins(k) else ' 있'}{self.ending(k, last)}"
            elif k == first and where:
                verb = f"{where} {verb}"
            clauses.append(f"{josa(self.name(k), '이')} {verb}")
        return ", ".join(clauses)

    def ending(self, k: int, last: bool) -> str:
        """The last syllable of 회전한다 or 있다, or of what goes on from it."""
        if self.spins(k):
            return "한다" if last else "하고"
        return "다" if last else "고"
