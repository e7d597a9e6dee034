"""The articles that the demo draws: six kinds of vehicle parts and their look-alikes, and three goods of other trades.

The kinds follow Dataset 1 of Lee Dongju, Kim Gunwoo and Choi Keunho (2020).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np

from hs_audit.demo.board import Bend, Board, Material, Outline, Point, ellipse


@dataclass(frozen=True)
class Goods:
    """One kind of goods.

    Attributes:
        hs_code: 10 digits.
        name: what a person would call them.
        draw: lays an article of this kind on a board.
    """

    hs_code: str
    name: str
    draw: Callable[[Board, np.random.Generator], None]


_BLACK = Material((40, 41, 44))
_GREY = Material((124, 127, 130))
_WHITE = Material((222, 222, 216))
_BEIGE = Material((196, 180, 150))
_BLUE = Material((42, 84, 160))
_RED = Material((172, 38, 36))
_YELLOW = Material((222, 178, 44))
_GREEN = Material((52, 110, 72))
_SILVER = Material((176, 180, 185), 0.3, 3, 0.3)
_ZINC = Material((176, 180, 184), 0.3, 4, 0.8)
_STEEL = Material((138, 142, 148), 0.3, 4, 0.9)
_BRASSY = Material((188, 164, 98), 0.3, 4, 0.7)
_RUSTY = Material((126, 88, 64), 0.08, 3, 0.2)
_COATED = Material((46, 47, 51), 0.25, 3, 0.2)
_CHROME = Material((200, 204, 210), 0.5, 5, 1.0)
_RUBBER = Material((34, 34, 36), 0.08, 2)
_RECESS = Material((18, 18, 20), 0.03, 2)

_PAINTS = (_BLACK, _SILVER, _WHITE, _RED, _BLUE, _GREY, _GREEN, _SILVER)
_PLASTICS = (_BLACK, _BLACK, _GREY, _WHITE, _BEIGE, _BLUE, _YELLOW, _RED)
_TRIMS = (_BLACK, _BLACK, _GREY, _BEIGE, _CHROME, _SILVER)
_METALS = (_ZINC, _STEEL, _BRASSY, _COATED, _ZINC, _STEEL, _RUSTY)


def _pick(rng: np.random.Generator, materials: Sequence[Material]) -> Material:
    """One of the materials, a little lighter or darker than the last of its kind."""
    material = materials[int(rng.integers(len(materials)))]
    red, green, blue = np.clip(np.asarray(material.colour) * rng.uniform(0.85, 1.15) + rng.normal(0, 5, 3), 8, 245)
    return replace(material, colour=(float(red), float(green), float(blue)))


def _shaded(material: Material, factor: float) -> Material:
    red, green, blue = material.colour
    return replace(material, colour=(red * factor, green * factor, blue * factor))


def _disc(x: float, y: float, radius: float, start: float = 0.0, end: float = 360.0) -> np.ndarray:
    return ellipse(x, y, radius, radius, start, end)


def _box(left: float, top: float, right: float, bottom: float, radius: float = 0.0) -> np.ndarray:
    """A rectangle with rounded corners."""
    if radius <= 0:
        return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    radius = min(radius, (right - left) / 2, (bottom - top) / 2)
    centres = (
        (right - radius, bottom - radius),
        (left + radius, bottom - radius),
        (left + radius, top + radius),
        (right - radius, top + radius),
    )
    angle = np.radians(np.linspace(0, 90, 8))
    quarters = [
        np.stack([x + radius * np.cos(angle + turn), y + radius * np.sin(angle + turn)], axis=1)
        for (x, y), turn in zip(centres, np.radians((0, 90, 180, 270)), strict=True)
    ]
    return np.concatenate(quarters)


def _smooth(*points: Point) -> np.ndarray:
    """A Catmull-Rom curve through the points."""
    knots = np.asarray([points[0], *points, points[-1]], np.float64)
    t = np.linspace(0, 1, 10, endpoint=False)[:, None]
    pieces = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(knots, knots[1:], knots[2:], knots[3:], strict=False)
    ]
    return np.concatenate([*pieces, knots[-1:]])


def _moved(points: Outline, x: float = 0.0, y: float = 0.0, scale: float = 1.0, degrees: float = 0.0) -> np.ndarray:
    turn = np.radians(degrees)
    rotation = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.asarray(points, np.float64) @ rotation.T + (x, y)


def _dome(x: float, y: float, radius: float, steepness: float = 1.2) -> tuple[Bend, Bend]:
    return Bend((x, y), (radius, 0), steepness), Bend((x, y), (0, radius), steepness)


def _bolt_hole(board: Board, x: float, y: float, radius: float) -> None:
    """A hole through to something dark, with a countersunk edge."""
    board.fill(_disc(x, y, radius * 1.25), Material((90, 92, 96), 0.3, 4, 0.6), bevel=0.01)
    board.fill(_disc(x, y, radius), _RECESS, bevel=0.01)


# 8708.29: parts of bodies


def _bumper(board: Board, rng: np.random.Generator) -> None:
    paint = _pick(rng, _PAINTS)
    rise, drop, intake = rng.uniform(0.12, 0.24), rng.uniform(0.3, 0.45), rng.uniform(0.35, 0.6)
    top = _smooth((-1, -0.1), (-0.75, -0.14 - rise / 2), (0, -0.14 - rise), (0.75, -0.14 - rise / 2), (1, -0.1))
    bottom = _smooth((0.96, 0.22), (0.7, drop), (0, drop + 0.05), (-0.7, drop), (-0.96, 0.22))
    bends = (Bend((0, 0), (1.05, 0), 0.7), Bend((0, -0.05), (0, 0.45), 0.8))
    board.fill(np.concatenate([top, bottom]), paint, bevel=0.05, bends=bends)
    board.rod(_smooth((-0.95, 0.0), (-0.5, -0.06), (0, -0.09), (0.5, -0.06), (0.95, 0.0)), 0.03, _shaded(paint, 0.8))
    grille = np.array([(-intake, 0.08), (intake, 0.08), (intake * 0.85, drop - 0.06), (-intake * 0.85, drop - 0.06)])
    board.fill(grille, _RECESS, bevel=0.015)
    for y in np.linspace(0.13, drop - 0.11, int(rng.integers(2, 4))):
        board.rod([(-intake * 0.9, y), (intake * 0.9, y)], 0.028, _shaded(_GREY, 0.5))
    for side in (-1, 1):
        board.fill(ellipse(side * (intake + 0.18), 0.15, 0.1, 0.085), _RECESS, bevel=0.02)
        board.fill(ellipse(side * (intake + 0.18), 0.15, 0.06, 0.055), _pick(rng, (_CHROME, _BLACK)), bevel=0.03)


def _door(board: Board, rng: np.random.Generator) -> None:
    paint = _pick(rng, _PAINTS)
    slant, waist = rng.uniform(0.15, 0.6), rng.uniform(-0.15, 0.0)
    frame = [(-0.7, waist), (-0.7 + slant, -0.85), (0.62, -0.9), (0.72, waist)]
    panel = [(0.7, 0.72), (0.6, 0.82), (-0.62, 0.82), (-0.72, 0.7)]
    window = [(-0.55, waist - 0.06), (-0.63 + slant, -0.74), (0.52, -0.78), (0.6, waist - 0.06)]
    board.fill(frame + panel, paint, holes=[window], bevel=0.05, bends=(Bend((0, 0.3), (0, 0.8), 0.55),))
    board.rod([(-0.66, waist), (0.68, waist)], 0.035, _RUBBER)
    crease = rng.uniform(0.18, 0.4)
    board.rod([(-0.68, crease), (0.68, crease - 0.03)], 0.03, _shaded(paint, 0.85))
    board.fill(ellipse(0.48, waist + 0.14, 0.13, 0.05), _shaded(paint, 0.5), bevel=0.02)
    board.rod([(0.38, waist + 0.14), (0.58, waist + 0.14)], 0.05, _pick(rng, (paint, _CHROME, _BLACK)))
    if rng.random() < 0.4:
        board.fill(_box(-0.66, 0.5, 0.66, 0.6, 0.03), _pick(rng, (_BLACK, _CHROME)), bevel=0.02)


def _fender(board: Board, rng: np.random.Generator) -> None:
    paint = _pick(rng, _PAINTS)
    arch, radius = rng.uniform(-0.2, 0.1), rng.uniform(0.42, 0.52)
    top = _smooth((-0.95, 0.05), (-0.8, -0.3), (-0.2, -0.5), (0.5, -0.55), (0.85, -0.52))
    wheel = ellipse(arch, 0.5, radius, radius + 0.05, 360, 180)
    outline = np.concatenate([top, [(0.9, 0.5)], wheel, [(-0.85, 0.5)]])
    board.fill(outline, paint, bevel=0.05, bends=(Bend((0, 0.1), (0, 0.75), 0.9), Bend((0, 0), (1.2, 0), 0.4)))
    board.rod(ellipse(arch, 0.5, radius + 0.03, radius + 0.08, 350, 190), 0.045, _shaded(paint, 0.9))
    board.rod(_smooth((-0.75, -0.12), (0, -0.28), (0.84, -0.32)), 0.025, _shaded(paint, 0.85))
    if rng.random() < 0.5:
        board.fill(_box(0.55, -0.22, 0.72, -0.14, 0.04), _pick(rng, (_YELLOW, _BLACK)), bevel=0.02)


def _bonnet(board: Board, rng: np.random.Generator) -> None:
    paint = _pick(rng, _PAINTS)
    narrow, nose = rng.uniform(0.62, 0.8), rng.uniform(0.6, 0.75)
    front = ellipse(0, nose - 0.15, narrow, 0.2, 180, 0)
    back = _smooth((0.95, -0.5), (0.5, -0.62), (0, -0.66), (-0.5, -0.62), (-0.95, -0.5))
    bends = (Bend((0, 0), (1, 0), 0.5), Bend((0, -0.3), (0, 1), 0.5))
    board.fill(np.concatenate([front, back]), paint, bevel=0.06, bends=bends)
    for side in (-1, 1):
        crease = _smooth((side * 0.62, -0.55), (side * 0.5, 0), (side * narrow * 0.55, nose - 0.1))
        board.rod(crease, 0.03, _shaded(paint, 0.92))
    if rng.random() < 0.4:
        for y in (-0.3, -0.22, -0.14):
            board.rod([(-0.2, y), (0.2, y)], 0.03, _RECESS)


# 3926.90: other articles of plastics


def _push_clips(board: Board, rng: np.random.Generator) -> None:
    plastic = _pick(rng, _PLASTICS)
    fins, head = int(rng.integers(3, 6)), rng.uniform(0.4, 0.6)
    spread = _scatter(rng, int(rng.integers(1, 4)))
    for x, y, scale, degrees in spread:
        at = partial(_moved, x=x, y=y, scale=scale, degrees=degrees)
        board.fill(at(_box(-0.13, -0.5, 0.13, 0.75, 0.08)), plastic, bevel=0.05 * scale)
        for level in range(fins):
            width, top = 0.36 - 0.05 * level, -0.25 + 0.95 * level / fins
            fin = [(-width, top), (width, top), (width * 0.6, top + 0.14), (-width * 0.6, top + 0.14)]
            board.fill(at(fin), plastic, bevel=0.03 * scale)
        board.fill(at(ellipse(0, -0.58, head, head * 0.36)), plastic, bevel=0.06 * scale)
        board.fill(at(ellipse(0, -0.64, head * 0.5, head * 0.15)), _shaded(plastic, 0.85), bevel=0.03 * scale)


def _grommets(board: Board, rng: np.random.Generator) -> None:
    plastic = _pick(rng, _PLASTICS)
    bore, squash = rng.uniform(0.3, 0.6), rng.uniform(0.75, 1)
    for x, y, scale, _ in _scatter(rng, int(rng.integers(1, 4))):
        radius = 0.78 * scale
        hole = ellipse(x, y, radius * bore, radius * bore * squash)
        board.fill(ellipse(x, y, radius, radius * squash), plastic, holes=[hole], bevel=0.06 * scale)
        collar = ellipse(x, y - 0.04, radius * (bore + 0.22), radius * (bore + 0.22) * squash)
        board.fill(collar, plastic, holes=[hole], bevel=0.06 * scale)


def _caps(board: Board, rng: np.random.Generator) -> None:
    plastic = _pick(rng, _PLASTICS)
    style = rng.integers(3)
    for x, y, scale, degrees in _scatter(rng, int(rng.integers(1, 4))):
        radius = 0.78 * scale
        board.fill(_disc(x, y + 0.1 * scale, radius), _shaded(plastic, 0.75), bevel=0.05 * scale)
        board.fill(_disc(x, y, radius), plastic, bevel=0.07 * scale, bends=_dome(x, y, radius, 0.5))
        board.fill(_disc(x, y, radius * 0.7), _shaded(plastic, 0.9), bevel=0.05 * scale)
        if style == 1:
            for turn in (0, 90):
                slot = _moved(_box(-0.4, -0.08, 0.4, 0.08, 0.05), x, y, scale, degrees + turn)
                board.fill(slot, _shaded(plastic, 0.5))
        elif style == 2:
            board.fill(_disc(x, y, radius * 0.3), _shaded(plastic, 0.5), bevel=0.04 * scale)


def _cable_ties(board: Board, rng: np.random.Generator) -> None:
    plastic = _pick(rng, _PLASTICS)
    for number in range(int(rng.integers(1, 4))):
        y, sag = -0.35 + 0.4 * number + rng.uniform(-0.05, 0.05), rng.uniform(-0.35, 0.35)
        strap = _smooth((-0.82, y), (-0.3, y + sag * 0.8), (0.3, y + sag * 0.6), (0.95, y - sag * 0.3))
        board.rod(strap, 0.1, plastic)
        board.rod(_moved(strap[4:-6], y=0.005), 0.025, _shaded(plastic, 0.7))
        head = _moved(_box(-0.11, -0.12, 0.11, 0.12, 0.04), -0.85, y)
        board.fill(head, plastic, bevel=0.05)
        board.fill(_moved(_box(-0.04, -0.06, 0.04, 0.06, 0.01), -0.85, y), _RECESS)


def _scatter(rng: np.random.Generator, pieces: int) -> list[tuple[float, float, float, float]]:
    """Where the pieces of a handful lie: x, y, scale, degrees."""
    if pieces == 1:
        return [(0.0, 0.0, 1.0, float(rng.normal(0, 15)))]
    spots = {2: ((-0.48, -0.1), (0.48, 0.1)), 3: ((-0.5, -0.4), (0.5, -0.35), (0, 0.48))}[pieces]
    return [
        (x + float(rng.normal(0, 0.05)), y + float(rng.normal(0, 0.05)), 0.56, float(rng.normal(0, 45)))
        for x, y in spots
    ]


# 8302.30: mountings, fittings and similar articles of base metal for motor vehicles


def _angle_bracket(board: Board, rng: np.random.Generator) -> None:
    metal = _pick(rng, _METALS)
    depth, height, holes = rng.uniform(0.35, 0.5), rng.uniform(0.7, 0.9), int(rng.integers(1, 3))
    base = [(-0.6, 0.35), (0.6, 0.35), (0.6 + depth * 0.6, 0.35 + depth), (-0.6 + depth * 0.6, 0.35 + depth)]
    board.fill(base, metal, bevel=0.03, tilt=(0, -0.5))
    wall = _box(-0.6, 0.35 - 2 * height * 0.6, 0.6, 0.4, 0.08)
    board.fill(wall, metal, bevel=0.03, tilt=(0.15, 0.45))
    for x in np.linspace(-0.34, 0.34, holes + 1):
        _bolt_hole(board, x, 0.3 - height * 0.7, 0.09)
        board.fill(ellipse(x + depth * 0.3, 0.35 + depth * 0.55, 0.12, 0.06), _RECESS, bevel=0.01)
    if rng.random() < 0.6:
        top, foot = 0.36 - height * 0.8, 0.38 + depth * 0.7
        board.fill([(-0.06, top), (0.06, top), (0.3, foot), (0.1, foot)], metal, bevel=0.05)


def _hinge(board: Board, rng: np.random.Generator) -> None:
    metal = _pick(rng, _METALS)
    height, knuckles = rng.uniform(0.5, 0.8), int(rng.integers(3, 6))
    shape = rng.uniform(0.05, 0.4)
    for side in (-1, 1):
        left, right = sorted((side * 0.08, side * rng.uniform(0.7, 0.9)))
        board.fill(_box(left, -height, right, height, shape), metal, bevel=0.03, tilt=(side * 0.35, 0.1))
        for y in np.linspace(-height * 0.6, height * 0.6, int(rng.integers(2, 4))):
            _bolt_hole(board, side * 0.45, y, 0.085)
    edges = np.linspace(-height, height, knuckles + 1)
    for top, bottom in pairwise(edges):
        board.fill(_box(-0.13, top + 0.01, 0.13, bottom - 0.01, 0.03), metal, bends=(Bend((0, 0), (0.13, 0), 1.5),))
    board.fill(ellipse(0, -height - 0.02, 0.1, 0.05), _STEEL, bevel=0.03)


def _mounting_plate(board: Board, rng: np.random.Generator) -> None:
    metal = _pick(rng, _METALS)
    half, ears = rng.uniform(0.35, 0.55), rng.uniform(0.15, 0.25)
    right = np.array([(half, -half), (0.9, -ears), (0.9, ears), (half, half)])
    outline = np.concatenate([right, -right])
    bore = _disc(0, 0, half * 0.55)
    board.fill(outline, metal, holes=[bore], bevel=0.04)
    board.fill(_disc(0, 0, half * 0.75), metal, holes=[bore], bevel=0.05)
    for side in (-1, 1):
        _bolt_hole(board, side * 0.7, 0, 0.09)
        if rng.random() < 0.5:
            tab = _moved(_box(-0.14, -0.1, 0.14, 0.14, 0.04), side * 0.3, half)
            board.fill(tab, metal, bevel=0.04, tilt=(0, 0.5))


def _striker(board: Board, rng: np.random.Generator) -> None:
    metal = _pick(rng, _METALS)
    height = rng.uniform(0.5, 0.75)
    board.fill(_box(-0.75, -height, 0.75, height, rng.uniform(0.1, 0.3)), metal, bevel=0.04, tilt=(0, 0.2))
    for side in (-1, 1):
        _bolt_hole(board, side * 0.5, rng.uniform(-0.4, 0.4) * height, 0.1)
    reach = rng.uniform(0.6, 0.9)
    loop = _smooth((-0.2, 0.2), (-0.25, 0.2 - reach), (0.25, 0.2 - reach), (0.2, 0.2))
    board.rod(loop, 0.13, _pick(rng, (_STEEL, _ZINC)))


# 3926.30: plastic fittings for furniture, coachwork or the like


def _grab_handle(board: Board, rng: np.random.Generator) -> None:
    plastic = _pick(rng, _TRIMS)
    arch, width = rng.uniform(0.25, 0.55), rng.uniform(0.16, 0.24)
    for side in (-1, 1):
        board.fill(_moved(_box(-0.18, -0.14, 0.18, 0.14, 0.07), side * 0.8, 0.3), plastic, bevel=0.06)
        board.fill(_disc(side * 0.84, 0.3, 0.06), _shaded(plastic, 0.5), bevel=0.02)
    grip = _smooth((-0.8, 0.25), (-0.6, 0.2 - arch * 0.7), (0, 0.2 - arch), (0.6, 0.2 - arch * 0.7), (0.8, 0.25))
    board.rod(grip, width, plastic)
    if rng.random() < 0.5:
        for x in np.linspace(-0.3, 0.3, 6):
            board.rod([(x, 0.2 - arch - width * 0.3), (x, 0.2 - arch + width * 0.35)], 0.02, _shaded(plastic, 0.6))


def _knob(board: Board, rng: np.random.Generator) -> None:
    plastic = _pick(rng, _TRIMS)
    ridges, radius = int(rng.integers(8, 18)), rng.uniform(0.65, 0.8)
    board.fill(_disc(0, 0.14, radius * 1.05), _shaded(plastic, 0.7), bevel=0.05)
    for turn in np.linspace(0, 2 * np.pi, ridges, endpoint=False):
        x, y = radius * 0.97 * np.cos(turn), radius * 0.97 * np.sin(turn)
        board.fill(_disc(x, y, 0.08), plastic, bevel=0.03)
    board.fill(_disc(0, 0, radius), plastic, bevel=0.06, bends=_dome(0, 0, radius, 0.6))
    board.fill(_disc(0, 0, radius * 0.66), plastic, bevel=0.05, bends=_dome(0, 0, radius, -0.7))
    board.fill(_box(-0.03, -radius * 0.6, 0.03, -radius * 0.25, 0.03), _pick(rng, (_WHITE, _RED)))


def _lever_handle(board: Board, rng: np.random.Generator) -> None:
    plastic = _pick(rng, _TRIMS)
    tall = rng.uniform(0.38, 0.55)
    board.fill(_box(-0.9, -tall, 0.9, tall, rng.uniform(0.15, 0.4)), plastic, bevel=0.06)
    board.fill(_box(-0.7, -tall * 0.68, 0.7, tall * 0.68, 0.25), _shaded(plastic, 0.45), bevel=0.05)
    grip = _smooth((-0.62, -0.3), (0, -0.45), (0.7, -0.15), (0.78, 0), (0.7, 0.2), (0, 0), (-0.62, 0.3))
    lever = grip * (1, tall)
    board.fill(lever, _pick(rng, (plastic, _CHROME)), bevel=0.07, bends=(Bend((0, -0.05), (0, tall * 0.6), 0.9),))
    board.fill(_disc(-0.56, 0, 0.09), _shaded(plastic, 0.8), bevel=0.03)


def _trim_strips(board: Board, rng: np.random.Generator) -> None:
    plastic = _pick(rng, _TRIMS)
    sag, width = rng.uniform(-0.3, 0.3), rng.uniform(0.1, 0.2)
    for y in np.linspace(-0.3, 0.3, int(rng.integers(1, 4))) if rng.random() < 0.6 else (0.0,):
        path = _smooth((-1, y), (-0.4, y + sag * 0.7), (0.4, y + sag * 0.7), (1, y))
        board.rod(path, width, plastic)
        board.rod(_moved(path, y=width * 0.16), width * 0.18, _pick(rng, (_shaded(plastic, 0.6), _CHROME)))


# 7326.90: other articles of iron or steel


def _hooks(board: Board, rng: np.random.Generator) -> None:
    metal = _pick(rng, _METALS)
    width, open_end = rng.uniform(0.11, 0.17), rng.uniform(150, 200)
    shifts = ((0.0,), (-0.42, 0.42))[int(rng.integers(2))]
    for shift in shifts:
        upper = ellipse(0, -0.42, 0.3, 0.36, -20, -270)
        lower = ellipse(0, 0.34, 0.36, 0.4, -90, open_end)
        board.rod(_moved(np.concatenate([upper, lower]), shift), width, metal)


def _rings(board: Board, rng: np.random.Generator) -> None:
    metal = _pick(rng, _METALS)
    width, squash = rng.uniform(0.13, 0.22), rng.uniform(0.7, 1)
    if rng.random() < 0.5:
        board.rod(ellipse(0, 0, 0.72, 0.72 * squash), width, metal)
        board.rod(ellipse(0, 0, 0.72, 0.72 * squash, 80, 100), width * 1.15, _shaded(metal, 0.9))
        return
    for x in (-0.5, 0.4):
        board.rod(ellipse(x, 0, 0.48, 0.4 * squash), width * 0.8, metal)
    board.rod(ellipse(-0.5, 0, 0.48, 0.4 * squash, -60, 0), width * 0.8, metal)


def _hose_clamp(board: Board, rng: np.random.Generator) -> None:
    metal = _pick(rng, (_ZINC, _STEEL, _CHROME, _BRASSY))
    band = rng.uniform(0.12, 0.2)
    squash = rng.uniform(0.75, 1)
    board.rod(ellipse(0, 0.1, 0.72, 0.72 * squash), band, metal)
    for turn in np.linspace(200, 320, 11):
        x, y = 0.72 * np.cos(np.radians(turn)), 0.1 + 0.72 * squash * np.sin(np.radians(turn))
        board.rod([(x * 0.96, y * 0.96), (x * 1.04, y * 1.04)], 0.025, _RECESS)
    top = 0.1 - 0.72 * squash
    board.fill(_box(-0.24, top - 0.14, 0.24, top + 0.1, 0.05), metal, bevel=0.05)
    screw = _box(-0.38, top - 0.13, 0.3, top + 0.02, 0.03)
    board.fill(screw, _STEEL, bevel=0.02, bends=(Bend((0, top - 0.055), (0, 0.08), 1.4),))
    board.fill(_box(-0.5, top - 0.18, -0.36, top + 0.07, 0.03), _STEEL, bevel=0.04)
    board.rod([(-0.43, top - 0.15), (-0.43, top + 0.04)], 0.03, _RECESS)


def _saddle_clamp(board: Board, rng: np.random.Generator) -> None:
    metal = _pick(rng, _METALS)
    radius, width = rng.uniform(0.36, 0.46), rng.uniform(0.2, 0.3)
    for side in (-1, 1):
        left, right = sorted((side * (radius - 0.05), side * 0.95))
        board.fill(_box(left, 0.3 - width * 0.1, right, 0.3 + width, 0.1), metal, bevel=0.04, tilt=(0, -0.3))
        board.fill(ellipse(side * 0.72, 0.3 + width * 0.45, 0.09, 0.06), _RECESS, bevel=0.01)
    outer, inner = ellipse(0, 0.3, radius + 0.12, radius + 0.14, 180, 360), _disc(0, 0.3, radius, 360, 180)
    board.fill(np.concatenate([outer, inner]), metal, bevel=0.06)
    back, front = _disc(0, 0.3, radius + 0.02, 180, 360), _disc(0, 0.3 + width, radius, 360, 180)
    board.fill(
        np.concatenate([back, front]), _shaded(metal, 0.7), bevel=0.04, bends=(Bend((0, 0.3), (radius, 0), -1.0),)
    )


def _perforated_plate(board: Board, rng: np.random.Generator) -> None:
    metal = _pick(rng, _METALS)
    tall, columns, rows = rng.uniform(0.3, 0.6), int(rng.integers(3, 7)), int(rng.integers(1, 4))
    levels = np.linspace(-tall * 0.6, tall * 0.6, rows) if rows > 1 else (0.0,)
    holes = [_disc(x, y, 0.07) for x in np.linspace(-0.72, 0.72, columns) for y in levels]
    board.fill(_box(-0.92, -tall, 0.92, tall, rng.uniform(0.02, 0.2)), metal, holes=holes, bevel=0.03, tilt=(0, 0.15))


# 8708.80: suspension systems and parts of them


def _coil(
    board: Board, top: float, bottom: float, radius: float, turns: int, width: float, metal: Material
) -> Callable[[], None]:
    """Lays down the back of a helical spring; what it returns lays down the front, after whatever stands inside."""
    pitch = (bottom - top) / turns
    levels = [top + pitch * turn for turn in range(turns + 1)]
    for y in levels[:-1]:
        board.rod([(radius, y + pitch * 0.45), (-radius, y + pitch)], width, _shaded(metal, 0.55))

    def front() -> None:
        for y in levels:
            curve = _smooth((-1, 0), (-0.5, 0.2), (0.5, 0.42), (1, 0.45)) * (radius, pitch)
            board.rod(_moved(curve, y=y), width, metal)

    return front


def _eye(board: Board, x: float, y: float, radius: float, metal: Material) -> None:
    """A ring with a rubber bush, where a suspension part is bolted on."""
    board.fill(_disc(x, y, radius), metal, bevel=0.04)
    board.fill(_disc(x, y, radius * 0.72), _RUBBER, bevel=0.03)
    board.fill(_disc(x, y, radius * 0.38), _STEEL, bevel=0.02)
    board.fill(_disc(x, y, radius * 0.2), _RECESS, bevel=0.01)


def _tube(board: Board, top: float, bottom: float, radius: float, material: Material) -> None:
    bends = (Bend((0, 0), (radius, 0), 1.6),)
    board.fill(_box(-radius, top, radius, bottom, radius * 0.3), material, bevel=0.015, bends=bends)


def _coilover(board: Board, rng: np.random.Generator) -> None:
    spring, body = _pick(rng, (_RED, _BLUE, _YELLOW, _BLACK, _STEEL)), _pick(rng, (_ZINC, _COATED, _STEEL, _BRASSY))
    radius, turns = rng.uniform(0.26, 0.36), int(rng.integers(5, 9))
    front = _coil(board, -0.62, 0.3, radius, turns, rng.uniform(0.07, 0.1), spring)
    _tube(board, -0.75, 0.1, 0.06, _CHROME)
    _tube(board, -0.05, 0.85, 0.15, body)
    front()
    for y in (-0.68, 0.38):
        seat = _box(-radius * 1.15, y - 0.05, radius * 1.15, y + 0.06, 0.05)
        board.fill(seat, body, bevel=0.03, bends=(Bend((0, y), (radius, 0), 1),))
    _eye(board, 0, -0.87, 0.13, body)
    _eye(board, 0, 0.92, 0.14, body)


def _damper(board: Board, rng: np.random.Generator) -> None:
    body, boot = _pick(rng, (_COATED, _ZINC, _YELLOW, _BLUE, _RED)), _pick(rng, (_RUBBER, _COATED, _WHITE))
    radius, length = rng.uniform(0.13, 0.2), rng.uniform(0.0, 0.2)
    _tube(board, -0.85, 0.1, 0.05, _CHROME)
    if rng.random() < 0.5:
        for y in np.arange(-0.7, length, 0.09):
            board.rod([(-radius, y), (radius, y)], 0.1, boot)
    else:
        _tube(board, -0.75, length, radius * 1.12, boot)
    _tube(board, length - 0.05, 0.82, radius, body)
    board.rod([(-radius, length), (radius, length)], 0.05, body)
    _eye(board, 0, -0.9, 0.13, body)
    _eye(board, 0, 0.9, 0.15, body)


def _strut(board: Board, rng: np.random.Generator) -> None:
    body, spring = _pick(rng, (_COATED, _COATED, _STEEL)), _pick(rng, (_BLACK, _STEEL, _BLUE, _RED))
    radius = rng.uniform(0.34, 0.42)
    front = _coil(board, -0.6, 0.05, radius, int(rng.integers(4, 6)), 0.09, spring)
    _tube(board, -0.7, 0.2, 0.09, _RUBBER)
    front()
    board.fill(ellipse(0, 0.18, radius * 1.2, 0.12), body, bevel=0.05)
    _tube(board, 0.15, 0.9, 0.16, body)
    board.fill(_box(0.1, 0.5, 0.38, 0.92, 0.05), body, bevel=0.03)
    for y in (0.6, 0.8):
        _bolt_hole(board, 0.27, y, 0.05)
    board.fill(ellipse(0, -0.68, radius * 1.15, 0.13), _RUBBER, bevel=0.06)
    for x in (-0.25, 0, 0.25):
        board.rod([(x, -0.72), (x, -0.9)], 0.06, _ZINC)


def _control_arm(board: Board, rng: np.random.Generator) -> None:
    metal = _pick(rng, (_COATED, _STEEL, _ZINC, _COATED))
    reach, width = rng.uniform(0.5, 0.75), rng.uniform(0.2, 0.28)
    board.rod(_smooth((-0.78, -0.5), (-0.3, -0.1), (0.72, reach * 0.5)), width, metal)
    board.rod(_smooth((-0.6, 0.7), (-0.1, 0.4), (0.72, reach * 0.5)), width, metal)
    board.rod(_smooth((-0.78, -0.5), (-0.3, -0.1), (0.72, reach * 0.5)), width * 0.3, _shaded(metal, 0.8))
    _eye(board, -0.78, -0.52, 0.2, metal)
    _eye(board, -0.62, 0.72, 0.2, metal)
    board.fill(_disc(0.74, reach * 0.5, 0.19), metal, bevel=0.06)
    board.fill(_disc(0.74, reach * 0.5, 0.11), _CHROME, bevel=0.05, bends=_dome(0.74, reach * 0.5, 0.11))


# Goods that the classifier does not learn


def _apples(board: Board, rng: np.random.Generator) -> None:
    bowl = _pick(rng, (_WHITE, _BLUE, _BEIGE))
    for x, y in ((-0.42, -0.1), (0.42, -0.12), (0, -0.35), (-0.15, 0.05), (0.28, 0.08)):
        skin, radius = _pick(rng, (_RED, Material((150, 170, 60)), _YELLOW)), rng.uniform(0.27, 0.33)
        board.fill(_disc(x, y, radius), replace(skin, gloss=0.4), bevel=0.06, bends=_dome(x, y, radius))
        board.rod([(x, y - radius * 0.7), (x + 0.05, y - radius * 1.05)], 0.03, _RUSTY)
    rim = np.concatenate([ellipse(0, 0.1, 0.95, 0.16, 180, 0), ellipse(0, 0.1, 0.95, 0.7, 0, 180)])
    bends = (Bend((0, 0.3), (0.95, 0), 1.1), Bend((0, 0.2), (0, 0.6), 0.8))
    board.fill(rim, replace(bowl, gloss=0.4), bevel=0.04, bends=bends)


def _phone(board: Board, rng: np.random.Generator) -> None:
    board.fill(_box(-0.48, -0.95, 0.48, 0.95, 0.12), _pick(rng, (_BLACK, _SILVER, _WHITE)), bevel=0.03)
    screen = _pick(rng, (_BLUE, Material((90, 60, 120)), _RECESS))
    board.fill(_box(-0.43, -0.88, 0.43, 0.88, 0.08), screen, bevel=0.01, bends=(Bend((0, 0), (0.9, 1.6), 0.3),))
    for row in range(4):
        for column in range(3):
            icon = _moved(_box(-0.09, -0.09, 0.09, 0.09, 0.03), -0.26 + 0.26 * column, -0.5 + 0.3 * row)
            board.fill(icon, _pick(rng, (_RED, _BLUE, _GREEN, _YELLOW, _WHITE)), bevel=0.01)
    board.fill(_disc(0, -0.82, 0.03), _RECESS, bevel=0.01)


def _shoe(board: Board, rng: np.random.Generator) -> None:
    leather = _pick(rng, (_RUSTY, _BLACK, _BLUE, _WHITE, _RED))
    instep = _smooth((-0.9, 0.35), (-0.88, -0.5), (-0.45, -0.55), (-0.1, -0.1), (0.5, 0.05), (0.95, 0.2), (0.95, 0.4))
    board.fill(
        [*instep, (-0.9, 0.4)], leather, bevel=0.07, bends=(Bend((0, 0), (0, 0.7), 0.9), Bend((0, 0), (1.2, 0), 0.4))
    )
    board.fill(ellipse(-0.66, -0.52, 0.22, 0.08), _shaded(leather, 0.35), bevel=0.03)
    sole = _smooth((-0.94, 0.34), (0, 0.36), (0.98, 0.32), (0.98, 0.5), (0, 0.55), (-0.92, 0.52), (-0.94, 0.34))
    board.fill(sole, _pick(rng, (_WHITE, _BLACK, _BEIGE)), bevel=0.04)
    for x, y in ((-0.3, -0.32), (-0.18, -0.18), (-0.04, -0.08), (0.12, -0.02)):
        board.rod([(x - 0.05, y + 0.12), (x + 0.12, y - 0.02)], 0.045, _WHITE)


def _any_of(*shapes: Callable[[Board, np.random.Generator], None]) -> Callable[[Board, np.random.Generator], None]:
    def draw(board: Board, rng: np.random.Generator) -> None:
        shapes[int(rng.integers(len(shapes)))](board, rng)

    return draw


GOODS: tuple[Goods, ...] = (
    Goods("8708290000", "Parts and accessories of vehicle bodies", _any_of(_bumper, _door, _fender, _bonnet)),
    Goods("3926900000", "Other articles of plastics", _any_of(_push_clips, _grommets, _caps, _cable_ties)),
    Goods(
        "8302300000",
        "Mountings and fittings for motor vehicles",
        _any_of(_angle_bracket, _hinge, _mounting_plate, _striker),
    ),
    Goods(
        "3926300000",
        "Plastic fittings for furniture or coachwork",
        _any_of(_grab_handle, _knob, _lever_handle, _trim_strips),
    ),
    Goods(
        "7326909000",
        "Other articles of iron or steel",
        _any_of(_hooks, _rings, _hose_clamp, _saddle_clamp, _perforated_plate),
    ),
    Goods(
        "8708800000", "Suspension shock absorbers and their parts", _any_of(_coilover, _damper, _strut, _control_arm)
    ),
)

OUTSIDE: tuple[Goods, ...] = (
    Goods("8517130000", "Smartphones", _phone),
    Goods("6403990000", "Footwear with uppers of leather", _shoe),
    Goods("0808100000", "Apples, fresh", _apples),
)
