"""Terms of a text: names (models, data sets, methods), concepts of the glossary, and other content words."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal, NamedTuple

from sillok.digest.check.units import unit_after

Kind = Literal["name", "concept", "word"]


class Term(NamedTuple):
    """A term: its key (language and notation put aside), its kind, and its place."""

    key: str
    kind: Kind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Concept:
    """An entry of the glossary; `polarity` is +1 where higher is better, -1 where lower is, else 0."""

    id: str
    metric: bool
    polarity: int
    family: str


STOP = frozenset(
    re.findall(
        r"\S+",
        """a an the of in on at to for from by with without and or but as is are was were be been being it its this that
        these those we our ours they their them he she his her who which what whose where when while than then thus so
        such can could may might must shall should will would do does did done has have had having not no nor only
        also just even still yet more most less least much many few fewer very too all any some each every both either
        neither other another same own into over under between through during before after above below up down out off
        again further once here there how why i you your one two first second last new using use used uses via per
        about across among within against versus vs et al etc e g i.e compared relative respectively whereas however
        therefore hence because since although though if whether let get gets got make makes made show shows shown
        give gives given present propose proposed introduce introduces introduced paper work authors author study
        table figure section appendix set well like""",
    )
)
#: Concepts that stand in every paper and tell nothing of a sentence.
COMMON = frozenset(
    re.findall(
        r"\S+",
        """method model paper result experiment quality gain performance state-of-the-art system framework algorithm
        evaluation test training data dataset task benchmark baseline efficient prediction generation research""",
    )
)
_TOKEN = re.compile(r"[A-Za-z0-9À-ÿ](?:[A-Za-z0-9À-ÿ@+_&'’./-]*[A-Za-z0-9À-ÿ+])?")
#: What belongs to the name before it: "3.1-8B", "2 13B", "v2", "3.5 Sonnet".
_VERSION = re.compile(
    r"\s(?:v?[0-9](?:\.[0-9]{1,2})?[- ][0-9]{1,3}(?:\.[0-9]+)?[bB](?:-[A-Za-z][\w.]*)*|v[0-9](?:\.[0-9]+)?(?:-\w+)*"
    r"|[0-9](?:\.[0-9]{1,2})?\s(?:Pro|Sonnet|Opus|Haiku|Flash|Ultra|Nano|Turbo|Large|Mini|Instruct|Chat))(?![A-Za-z0-9.]*[A-Za-z0-9])"
)
#: "RTX 5090", "RTX A6000".
_CARDS = frozenset(("RTX", "GTX", "GeForce", "Radeon", "Quadro", "Titan"))
_CARD = re.compile(r"\s(?:[A-Z]?[0-9]{3,4}|Titan)(?:\s(?:Ti|SUPER|XT|Ada)\b)?(?![\w.%])")
#: "Qwen3 Base", after a name with a figure.
_EDITION = re.compile(r"\s(?:Base|Instruct|Chat|Coder|Thinking)(?![\w-])")
_UNITLIKE = re.compile(
    r"[0-9][0-9.,]*(?:[kKMBTx%]|[GMTk]i?B|ms|s|m|km|mm|cm|h|W|J|dB|Hz|[kMG]Wh|[GMk]bit/s|fps|K)?"
)
_UNIT_NAMES = frozenset(
    re.findall(
        r"\S+",
        """TB GB MB KB kB GiB MiB MHz GHz kHz Hz dB FPS TOPS FLOPs FLOP FLOPS TFLOP TFLOPs TFLOPS GFLOPs GFLOPS PFLOPs
        kWh MWh hPa USD Gbit Mbit Gbit/s Mbit/s kbit/s Gbps Mbps mW MW OK""",
    )
)
_SUFFIX = re.compile(
    r"-(?:based|style|like|level|free|driven|aware|only|trained|tuned|guided|oriented|specific|wise|type|class|scale"
    r"|sized|generated|augmented|enhanced|powered)\Z",
    re.IGNORECASE,
)
_STEM = re.compile(
    r"(?:ization|ation|ition|ement|ment|ness|ity|ively|ive|ion|ing|edly|ally"
    r"|er|or|ied|ed|ly|al|e|y)\Z"
)


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Return a rough stem of an English word, the same for "evict", "evicts" and "eviction"."""
    word = word.lower().replace("’", "'").removesuffix("'s").strip("'-./")
    word = re.sub(r"is(?=(?:e|es|ed|ing|ation|ations|er|ers)\Z)", "iz", word)
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = (
            word[:-3] + "y"
            if word.endswith("ies")
            else re.sub(r"(?:(?<=[sxz])|(?<=[cs]h))es\Z|s\Z", "", word)
        )
    for _ in range(2):
        cut = _STEM.sub("", word, count=1)
        if len(cut) < 4 or cut == word:
            break
        word = cut
    return word


class Lexicon:
    """The glossary, ready to find its terms in both languages."""

    def __init__(self, text: str, words: str = "") -> None:
        self.concepts: dict[str, Concept] = {}
        self.english: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        korean: dict[str, str] = {}
        for line in text.splitlines():
            match = re.fullmatch(r"([\w-]+)(?: \[([^\]]*)\])?: ([^|]*)(?:\|(.*))?", line.strip())
            if line.startswith("#") or match is None:
                continue
            id, marks = match[1], (match[2] or "").split()
            family = next((mark[1:] for mark in marks if mark.startswith("=")), id)
            polarity = ("+" in marks) - ("-" in marks)
            self.concepts[id] = Concept(id, "metric" in marks, polarity, family)
            for form in match[3].split(","):
                stems = tuple(stem(word) for word in re.findall(r"[\w@]+", form))
                if stems:
                    self.english.setdefault(stems[0], []).append((stems, id))
            for form in (match[4] or "").split(","):
                if re.search("[가-힣]", form):
                    korean.setdefault(form.strip(), id)
        self._words(words, korean)
        for forms in self.english.values():
            forms.sort(key=lambda form: -len(form[0]))
        self.korean = {re.sub(r"\s", "", form): id for form, id in korean.items()}
        ordered = sorted(korean, key=len, reverse=True)
        self.pattern = re.compile("|".join(re.escape(form).replace(r"\ ", r"\s?") for form in ordered))

    def _words(self, text: str, korean: dict[str, str]) -> None:
        """Read everyday words: all forms of a line have one key, the stem of the first, and are of kind "word"."""
        for line in text.splitlines():
            if line.startswith("#") or "|" not in line:
                continue
            english, _, forms = line.partition("|")
            stems = [tuple(stem(word) for word in re.findall(r"[\w@]+", form)) for form in english.split(",")]
            key = "~" + "-".join(stems[0])
            for one in stems:
                if one and all(one != known for known, _ in self.english.get(one[0], ())):
                    self.english.setdefault(one[0], []).append((one, key))
            for form in forms.split(","):
                if re.search("[가-힣]", form):
                    korean.setdefault(form.strip(), key)


@lru_cache(maxsize=1)
def lexicon() -> Lexicon:
    """Return the glossary and the everyday words that come with Sillok."""
    here = files(__package__)
    texts = [(here / name).read_text(encoding="utf-8") for name in ("glossary.txt", "words.txt")]
    return Lexicon(*texts)


def kind_of(id: str) -> Kind:
    """Return the kind of a term of the lexicon: everyday words have keys that begin with "~"."""
    return "word" if id.startswith("~") else "concept"


_PLURAL = re.compile(r"(?<=[A-Z]{2})s\Z")
_OTHER = re.compile(r"[^0-9a-zà-ÿ+]")


@lru_cache(maxsize=65536)
def key_of(name: str) -> str:
    """Return a name without case, punctuation and plural: "Long-Bench" is "LongBench", and ODEs are ODE."""
    return _OTHER.sub("", _PLURAL.sub("", name).lower())


_SIZED = re.compile(
    r"(?P<name>(?:[A-Z]|[a-z]+[A-Z0-9])[\w.]*(?:[- ][A-Za-z0-9.]+)??[- ]?)(?<![0-9.])[0-9]+(?:\.[0-9]+)?[BM]"
    r"(?:-[A-Za-z]\w*)?"
    r"(?P<more>(?:(?:\s?[/,&]\s?|,?\s(?:and|or)\s|[와과]\s?)[0-9]+(?:\.[0-9]+)?[BM](?![A-Za-z]))+)"
)


def sized(text: str) -> dict[str, int]:
    """Return the names that a list of sizes stands for, each with where its size begins: "Qwen3-4B, 14B and 32B"."""
    return {
        match["name"] + size[0]: match.start("more") + size.start()
        for match in _SIZED.finditer(text)
        for size in re.finditer(r"[0-9.]+[BM]", match["more"])
    }


def _is_measure(core: str) -> bool:
    """Tell whether a token is a unit, with or without a figure before it: "23.4kJ", "mW"."""
    number = re.match(r"[0-9][0-9.,]*", core)
    if number is None and not (len(core) < 5 and core[:1].islower() and not core.islower()):
        return False
    unit = unit_after(core, number.end() if number else 0)
    return unit is not None and unit[1] == len(core)


def is_name(token: str, *, opens: bool) -> bool:
    """Tell whether a Latin token looks like a name; `opens` says that it opens an English sentence."""
    core = token.strip("'-./")
    if core in _UNIT_NAMES:
        return False
    if _is_measure(core):
        return False
    if len(core) < 2 or not re.search("[A-Za-zÀ-ÿ]", core):
        return False
    if re.search(r"[a-z0-9À-ÿ-][A-Z]|[A-Z]{2}|[A-Za-z]-?[0-9]|[0-9][A-Za-z]{2}|[A-Za-z]\+", core):
        return _UNITLIKE.fullmatch(core) is None
    return core[0].isupper() and not opens and not (core[1:].islower() and core.lower() in STOP)


def terms(text: str, names: Collection[str] = ()) -> list[Term]:
    """Return the terms of a sentence in order; `names` are keys that are names also where they open it."""
    known = lexicon()
    found = _latin(text, known, names)
    if re.search("[가-힣]", text):
        found += _korean(text, known)
        found.sort(key=lambda term: (term.start, term.end))
    return found


def _latin(text: str, known: Lexicon, names: Collection[str]) -> list[Term]:
    korean = re.search("[가-힣]", text) is not None
    tokens = [part for match in _TOKEN.finditer(text) for part in _parts(match[0], match.start(), known)]
    stems = [stem(token) for token, _, _ in tokens]
    found: list[Term] = []
    index = 0
    while index < len(tokens):
        token, start, end = tokens[index]
        hit = _concept(stems, index, known)
        if hit is not None and not _overrides(token, hit[1]):
            id, length = hit
            found.append(Term(id, kind_of(id), start, tokens[index + length - 1][2]))
            index += length
            continue
        opens = not korean and not re.search(r"[A-Za-z0-9]", text[:start])
        version = _version(text, token, end)
        if version is not None and is_name(token, opens=False) and token.lower() not in STOP:
            end = version.end()  # "LLaMA 3.1-8B" is one name
            found.append(Term(key_of(text[start:end]), "name", start, end))
            while index + 1 < len(tokens) and tokens[index + 1][1] < end:
                index += 1
        elif is_name(token, opens=opens and key_of(token) not in names):
            found.append(Term(key_of(_SUFFIX.sub("", token)), "name", start, end))
        elif (
            re.fullmatch(r"[A-Za-zÀ-ÿ][A-Za-zÀ-ÿ'’-]+", token)
            and token.lower() not in STOP
            and token not in _UNIT_NAMES
        ):
            found.append(Term("~" + stems[index], "word", start, end))
        index += 1
    return found


def _version(text: str, token: str, end: int) -> re.Match[str] | None:
    """What belongs to a name behind it."""
    if text[end : end + 1] != " " or not token[0].isalpha():
        return None
    if token in _CARDS:
        return _CARD.match(text, end)
    found = _VERSION.match(text, end)
    if found is None and re.search("[0-9]", token):
        found = _EDITION.match(text, end)
    return found


def _overrides(token: str, length: int) -> bool:
    """A name with inner capitals or digits is a name although its stem is in the glossary ("ReCall")."""
    core = token.split("@")[0].removesuffix("s")
    return (
        length == 1
        and re.search(r"[a-z][A-Z]", core) is not None
        and core not in ("nDCG", "chrF", "mIoU", "mF1")
    )


def _parts(token: str, start: int, known: Lexicon) -> list[tuple[str, int, int]]:
    """Divide "late-interaction" at its hyphens unless it is a name or stands in the glossary as it is."""
    end = start + len(token)
    for mark in ("'s", "’s"):
        if token.endswith(mark):
            token, end = token[:-2], end - 2
    if "-" not in token and "/" not in token and "." not in token.rstrip("."):
        return [(token, start, end)]
    if sizes := re.fullmatch(r"(.+?[0-9][BM])(?:/[0-9.]+[BM])+(?:-.*)?", token):
        end = start + len(sizes[1])  # the others are among the paper's names, see `sized`
        return [(sizes[1], start, end)]
    if re.match(r"[0-9]", token) or not is_name(token, opens=False):
        return [(m[0], start + m.start(), start + m.end()) for m in re.finditer(r"[^-/]+", token)]
    stems = [stem(part) for part in token.split("-")]
    if all(known.english.get(part) or part in STOP for part in stems):
        return [(m[0], start + m.start(), start + m.end()) for m in re.finditer(r"[^-/]+", token)]
    if "/" in token and not re.search(r"[0-9]/|/[0-9a-z]", token):
        return [(m[0], start + m.start(), start + m.end()) for m in re.finditer(r"[^/]+", token)]
    return [(token, start, end)]


def _concept(stems: list[str], index: int, known: Lexicon) -> tuple[str, int] | None:
    for form, id in known.english.get(stems[index], ()):
        if tuple(stems[index : index + len(form)]) == form:
            return id, len(form)
    return None


def _korean(text: str, known: Lexicon) -> list[Term]:
    found: list[Term] = []
    for run in re.finditer(r"(?<![가-힣])[가-힣]", text):
        position = run.start()
        if found and position < found[-1].end:
            continue
        while (match := known.pattern.match(text, position)) is not None and match.end() > position:
            id = known.korean[re.sub(r"\s", "", match[0])]
            found.append(Term(id, kind_of(id), match.start(), match.end()))
            position = match.end()
            if text[position : position + 1] == " " or not re.match(
                "[가-힣]", text[position : position + 1] or " "
            ):
                break
    return found
