"""Figures with exact labels for the seven synthetic tasks of VisOnlyQA (arXiv 2412.00947), drawn by Pillow."""

from __future__ import annotations

import base64
import io
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

TASKS = ("triangle", "quadrilateral", "length", "angle", "area", "size", "angle_3d")
#: The published split of each task.
SPLITS = {name: f"syntheticgeometry__{name}" for name in TASKS[:5]} | {
    "size": "3d__size",
    "angle_3d": "3d__angle",
}
RATIOS = (0.25, 0.5, 1.0, 2.0, 4.0)
ANGLES = (10, 45, 90, 135, 180)
TURNS = (0, 45, 90, 135, 180)
_LETTERS = "ABCDEFGHJK"
_ESTIMATE = "You only need to estimate from the visual information and need no mathematical reasoning."

Point = tuple[float, float]


def rotated(points: Mapping[str, Point], angle: float) -> dict[str, Point]:
    """Points in [0, 1]^2 turned by an angle in radians around the middle of the picture."""
    c, s = math.cos(angle), math.sin(angle)
    return {
        name: (0.5 + c * (x - 0.5) - s * (y - 0.5), 0.5 + s * (x - 0.5) + c * (y - 0.5))
        for name, (x, y) in points.items()
    }


def _crosses(a: Point, b: Point, c: Point, d: Point) -> bool:
    def side(p: Point, q: Point, r: Point) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def label_of(figure: Mapping[str, Any]) -> str | float:
    """The truth about a plane figure, from its points and edges alone.

    "True" or "False" for polygons (is there one with these corners in this order, all sides drawn, none crossing?),
    the ratio of lengths or areas, the angle in degrees.
    """
    points, edges = figure["points"], {frozenset(edge) for edge in figure["edges"]}
    kind, named = figure["task"], figure["named"]
    if kind in ("triangle", "quadrilateral"):
        sides = list(zip(named, (*named[1:], named[0]), strict=True))
        there = all(frozenset(side) in edges for side in sides)
        if there and kind == "quadrilateral":
            a, b, c, d = (points[name] for name in named)
            there = not _crosses(a, b, c, d) and not _crosses(b, c, d, a)
        return str(there)
    if kind == "length":
        (a, b), (c, d) = named
        return math.dist(points[a], points[b]) / math.dist(points[c], points[d])
    if kind == "angle":
        a, b, c = (points[name] for name in named)
        turn = math.atan2(a[1] - b[1], a[0] - b[0]) - math.atan2(c[1] - b[1], c[0] - b[0])
        return math.degrees(abs(math.atan2(math.sin(turn), math.cos(turn))))
    return _area([points[name] for name in named[0]]) / _area([points[name] for name in named[1]])


def _area(corners: Sequence[Point]) -> float:
    (ax, ay), (bx, by), (cx, cy) = corners
    return abs((bx - ax) * (cy - ay) - (by - ay) * (cx - ax)) / 2


def _scattered(n: int, rng: np.random.Generator, apart: float = 0.16) -> dict[str, Point]:
    """Points within a circle in the middle, so that they stay in the picture when it is turned; none three in line."""
    names = [str(letter) for letter in rng.permutation(list(_LETTERS))[:n]]
    while True:
        radius, turn = (0.4 * np.sqrt(rng.random(n))).tolist(), (2 * np.pi * rng.random(n)).tolist()
        found = [(0.5 + r * math.cos(t), 0.5 + r * math.sin(t)) for r, t in zip(radius, turn, strict=True)]
        far = all(math.dist(p, q) >= apart for p, q in itertools.combinations(found, 2))
        if far and all(_area(three) > 0.008 for three in itertools.combinations(found, 3)):
            return dict(zip(names, found, strict=True))


def _polygon(task: str, rng: np.random.Generator) -> dict[str, Any]:
    """Six points with some of their connections; asked for a polygon that is there, or lacks a side or two."""
    corners = 3 if task == "triangle" else 4
    while True:
        points = _scattered(6, rng)
        pairs = list(itertools.combinations(points, 2))
        edges = [pairs[int(i)] for i in rng.permutation(len(pairs))[:8]]
        wanted = str(bool(rng.random() < 0.5))
        orders = [list(order) for order in itertools.permutations(points, corners)]
        rng.shuffle(orders)
        for named in orders:
            figure = {"task": task, "points": points, "edges": edges, "named": named}
            if label_of(figure) == wanted:
                return figure


def _length(rng: np.random.Generator) -> dict[str, Any]:
    ratio = float(rng.choice(RATIOS))
    points = _scattered(4, rng)
    a, b, c, d = points
    long = 0.55 if ratio != 1 else 0.35
    one, other = (long, long / ratio) if ratio >= 1 else (long * ratio, long)
    for (p, q), size in (((a, b), one), ((c, d), other)):
        middle = rng.uniform(0.42, 0.58, 2)
        turn = rng.uniform(0, 2 * np.pi)
        half = size / 2 * np.array([math.cos(turn), math.sin(turn)])
        points[p], points[q] = tuple(map(float, middle - half)), tuple(map(float, middle + half))
    return {"task": "length", "points": points, "edges": [(a, b), (c, d)], "named": [(a, b), (c, d)]}


def _angle(rng: np.random.Generator) -> dict[str, Any]:
    angle, turn = math.radians(int(rng.choice(ANGLES))), rng.uniform(0, 2 * np.pi)
    points = _scattered(3, rng)
    a, b, c = points
    points[b] = (0.5, 0.5)
    for name, at in ((a, turn), (c, turn + angle)):
        reach = rng.uniform(0.25, 0.4)
        points[name] = (0.5 + reach * math.cos(at), 0.5 + reach * math.sin(at))
    return {"task": "angle", "points": points, "edges": [(a, b), (b, c)], "named": [a, b, c]}


def _area_pair(rng: np.random.Generator) -> dict[str, Any]:
    """Two triangles on one line through a point of it: their areas are as their bases."""
    ratio = float(rng.choice(RATIOS))
    points = _scattered(4, rng)
    a, b, c, d = points
    share, turn = ratio / (1 + ratio), rng.uniform(0, 2 * np.pi)
    ends = {
        a: (0.12, 0.7),
        b: (0.12 + 0.76 * share, 0.7),
        c: (0.88, 0.7),
        d: (float(rng.uniform(0.3, 0.7)), 0.25),
    }
    points |= rotated(ends, turn)
    edges = [(a, b), (b, c), (c, d), (d, a), (d, b)]
    return {"task": "area", "points": points, "edges": edges, "named": [(a, b, d), (b, c, d)]}


def _options(values: Sequence[float], rng: np.random.Generator, unit: str = "") -> tuple[str, list[float]]:
    order = [values[int(i)] for i in rng.permutation(len(values))]
    text = " ".join(f"({'abcde'[at]}) {value:g}{unit}" for at, value in enumerate(order))
    return text, order


def _asked(figure: dict[str, Any], rng: np.random.Generator) -> tuple[str, str, list[str]]:
    """The question about a plane figure, its answer, and its options."""
    kind, named = figure["task"], figure["named"]
    if kind in ("triangle", "quadrilateral"):
        denied = bool(rng.random() < 0.5)
        truth = (label_of(figure) == "True") != denied
        text = f"There is {'no' if denied else 'a'} {kind} {''.join(named)} in the figure. True or False?"
        return text, str(truth), ["True", "False"]
    what = {
        "length": lambda: f"Line {''.join(named[0])} is X times longer than {''.join(named[1])}. Estimate X.",
        "angle": lambda: f"Estimate the angle {''.join(named)} in the figure.",
        "area": lambda: (
            f"{''.join(named[0])} is X times larger in area than {''.join(named[1])}. Estimate X."
        ),
    }[kind]()
    values, unit = (ANGLES, " degrees") if kind == "angle" else (RATIOS, "")
    text, order = _options(values, rng, unit)
    truth = min(range(len(order)), key=lambda at: abs(order[at] - float(label_of(figure))))
    return f"{what} {_ESTIMATE} {text}", "abcde"[truth], list("abcde")


def _solid(task: str, rng: np.random.Generator) -> dict[str, Any]:
    if task == "size":
        return {"task": task, "ratio": float(rng.choice((0.5, 1.0, 2.0))), "turn": float(rng.uniform(0, 1))}
    first = float(rng.uniform(0, 360))
    return {"task": task, "between": int(rng.choice(TURNS)), "first": first, "side": int(rng.choice((-1, 1)))}


def _asked_solid(figure: dict[str, Any], rng: np.random.Generator) -> tuple[str, str, list[str]]:
    if figure["task"] == "size":
        text, order = _options((0.5, 1.0, 2.0), rng)
        return (
            f"The red sphere is X times wider than the blue sphere. Estimate X. {text}",
            "abc"[order.index(figure["ratio"])],
            list("abc"),
        )
    text, order = _options(TURNS, rng, " degrees")
    asked = f"Estimate the angle between the directions of the red and the blue arrow on the ground. {text}"
    return asked, "abcde"[order.index(figure["between"])], list("abcde")


def geometry_generate(
    n: int, seed: int, task: str, *, style: str = "plain", pixels: int = 224
) -> list[dict[str, Any]]:
    """Questions about drawn figures, with exact answers, in VisOnlyQA's published format.

    Args:
        n: how many.
        seed: of everything; a question depends on seed, task and its number alone.
        task: "triangle", "quadrilateral", "length", "angle", "area" (plane), "size", "angle_3d" (solid).
        style: "plain" (thin dark lines) or "other" (thick coloured lines, tinted paper, other letters).
        pixels: width and height of the pictures.

    Returns:
        Records with ``decoded_image`` (a Pillow image), ``question``, both prompts, ``answer``, ``question_type``,
        ``response_options``, categories, ``id``, and the ``figure`` from which `label_of` tells the truth.

    Raises:
        ValueError: n below 1, or an unknown task or style.
    """
    if n < 1 or task not in TASKS or style not in ("plain", "other"):
        raise ValueError(
            f"n must be at least 1, task of {', '.join(TASKS)}, style plain or other; got {(n, task, style)!r}"
        )
    make: dict[str, Callable[[np.random.Generator], dict[str, Any]]] = {
        "length": _length,
        "angle": _angle,
        "area": _area_pair,
    }
    records = []
    for number in range(n):
        rng = np.random.default_rng([seed, TASKS.index(task), number, 73])
        if task in ("size", "angle_3d"):
            figure = _solid(task, rng)
            question, answer, options = _asked_solid(figure, rng)
        else:
            figure = make[task](rng) if task in make else _polygon(task, rng)
            question, answer, options = _asked(figure, rng)
        records.append(
            _record(figure, question, answer, options, f"{task}-{seed}-{number}", draw(figure, style, pixels))
        )
    return records


def _record(
    figure: dict[str, Any], question: str, answer: str, options: list[str], id: str, image: Any
) -> dict[str, Any]:
    solid = figure["task"] in ("size", "angle_3d")
    listed = ", ".join(options)
    return {
        "id": f"made-{id}",
        "image_path": None,
        "decoded_image": image,
        "question": question,
        "prompt_reasoning": f"{question}\n\nGive a short reason, and then the final answer ({listed}).",
        "prompt_no_reasoning": f"{question}\n\nReply with the final answer alone ({listed}).",
        "answer": answer,
        "question_type": "single_answer",
        "response_options": options,
        "image_category": "3d" if solid else "geometry",
        "task_category": "angle" if figure["task"] == "angle_3d" else figure["task"],
        "split": SPLITS[figure["task"]],
        "source": "sillok",
        "figure": figure,
    }


def draw(figure: Mapping[str, Any], style: str = "plain", pixels: int = 224) -> Any:
    """A figure as a Pillow image of so many pixels, drawn at three times the size and averaged down."""
    from PIL import Image, ImageDraw, ImageFont

    size = 3 * pixels
    paper, ink, width = (
        ((255, 255, 255), (20, 20, 20), 5) if style == "plain" else ((250, 243, 224), (150, 40, 30), 11)
    )
    image = Image.new("RGB", (size, size), paper)
    pen = ImageDraw.Draw(image)
    if figure["task"] == "size":
        _spheres(image, figure, size)
    elif figure["task"] == "angle_3d":
        _arrows(pen, figure, size, width)
    else:
        font = ImageFont.load_default(size * (0.055 if style == "plain" else 0.075))
        points = {name: (x * size, y * size) for name, (x, y) in figure["points"].items()}
        for a, b in figure["edges"]:
            pen.line([points[a], points[b]], fill=ink, width=width)
        middle = np.mean(list(points.values()), axis=0)
        for name, (x, y) in points.items():
            away = np.array([x, y]) - middle
            away = away / (np.linalg.norm(away) + 1e-9) * size * 0.05
            pen.ellipse([x - width, y - width, x + width, y + width], fill=ink)
            pen.text((x + away[0], y + away[1]), name, fill=(0, 0, 0), font=font, anchor="mm")
    return image.resize((pixels, pixels), Image.Resampling.BOX)


def _spheres(image: Any, figure: Mapping[str, Any], size: int) -> None:
    """A red and a blue sphere, shaded by their normals; their widths are as the ratio."""
    from PIL import Image

    canvas = np.asarray(image).astype(np.float64).copy()
    y, x = np.mgrid[0:size, 0:size] / size
    large = 0.2
    red = large if figure["ratio"] >= 1 else large / 2
    swap = figure["turn"] < 0.5
    for at, radius, colour in (
        (0.27 if swap else 0.73, red, (220, 50, 50)),
        (0.73 if swap else 0.27, red / figure["ratio"], (60, 90, 220)),
    ):
        dx, dy = (x - at) / radius, (y - (0.75 - radius)) / radius
        inside = dx**2 + dy**2 < 1
        light = np.clip(
            0.35 + 0.65 * (np.sqrt(np.clip(1 - dx**2 - dy**2, 0, 1)) - 0.5 * dx - 0.5 * dy), 0.15, 1.2
        )
        shade = np.clip(light[..., None] * np.array(colour), 0, 255)
        canvas[inside] = shade[inside]
    image.paste(Image.fromarray(canvas.astype(np.uint8)))


def _arrows(pen: Any, figure: Mapping[str, Any], size: int, width: int) -> None:
    """Two arrows on the ground, seen obliquely: depth is shortened by a half."""
    second = figure["first"] + figure["side"] * figure["between"]
    for middle, angle, colour in (
        ((0.3, 0.45), figure["first"], (210, 40, 40)),
        ((0.7, 0.6), second, (40, 70, 210)),
    ):
        turn = math.radians(angle)
        along = np.array([math.cos(turn), 0.5 * math.sin(turn)]) * size * 0.17
        across = np.array([-math.sin(turn), 0.5 * math.cos(turn)]) * size * 0.05
        at = np.array(middle) * size
        pen.line([tuple(at - along), tuple(at + along * 0.6)], fill=colour, width=2 * width)
        tip = [tuple(at + along), tuple(at + along * 0.4 + across), tuple(at + along * 0.4 - across)]
        pen.polygon(tip, fill=colour)


def data_uri(image: Any) -> str:
    """A Pillow image as a PNG in a data URI."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
