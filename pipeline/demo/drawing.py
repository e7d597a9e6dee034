"""Random numbers → photographs of goods that the demo's classifier learns, and of things that it does not know.

Six kinds of vehicle parts and their look-alikes, after Dataset 1 of Lee, Kim & Choi (2020). An article is a stack of
parts; each is a mask with rounded edges, lit from one side and laid over the parts before it. What the article looks
like and how it was photographed can come from two generators, so that one article can be photographed several times.

An article is drawn in coordinates of its own: about [-1, 1] both ways, x to the right, y down, lengths as shares of 1.
"""

import io
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

_SUPERSAMPLING = 3
_SIZES = ((320, 240), (360, 270), (384, 288), (400, 300), (320, 320), (288, 360))  # width, height in pixels
_RELIEF = 1.5  # how steep rounded edges look

Point = tuple[float, float]
Outline = Sequence[Point] | np.ndarray  # float [N, 2]
_Place = tuple[slice, slice]  # rows and columns of a board


@dataclass(frozen=True)
class Material:
    """How a surface looks.

    Attributes:
        colour: red, green and blue, 0 to 255.
        gloss: how bright the highlight is, 0 to 1.
        polish: how often the highlight is squared; more is smaller and sharper.
        mirror: how much of the surroundings the surface shows, 0 for plastics to 1 for polished steel.
    """

    colour: tuple[float, float, float]
    gloss: float = 0.25
    polish: int = 4
    mirror: float = 0.0


@dataclass(frozen=True)
class Bend:
    """A curved surface: level on the line through `centre`, falling away towards `reach` on both sides of it."""

    centre: Point
    reach: Point
    steepness: float = 1.2


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
    draw: Callable[["Board", np.random.Generator], None]


class Board:
    """A picture in the making: an article, seen from one side and lit from one side.

    Attributes:
        rgb: the article's colours times `alpha`, float32 [3, H, W], 0 to 255.
        alpha: how much of a pixel the article covers, float32 [H, W], 0 to 1.
        light: unit vector towards the light: x, y, z.
    """

    def __init__(self, width: int, height: int, view: np.ndarray, centre: np.ndarray, light: np.ndarray) -> None:
        """Starts with an empty board.

        Args:
            width: in pixels.
            height: in pixels.
            view: article's coordinates to pixels, float [2, 2].
            centre: where the article's origin lies, in pixels, float [2].
            light: unit vector towards the light, float [3]; z points at the camera.
        """
        self.rgb = np.zeros((3, height, width), np.float32)  # planes: broadcasting over them is 3 times as fast
        self.alpha = np.zeros((height, width), np.float32)
        self.light = light
        self._x = np.arange(width, dtype=np.float32)[None]
        self._y = np.arange(height, dtype=np.float32)[:, None]
        self._view = view
        self._centre = centre
        self._scale = float(np.sqrt(abs(np.linalg.det(view))))

    def fill(
        self,
        outline: Outline,
        material: Material,
        *,
        holes: Sequence[Outline] = (),
        bevel: float = 0.02,
        bends: Sequence[Bend] = (),
        tilt: Point = (0.0, 0.0),
    ) -> None:
        """Lays down a surface with rounded edges.

        Args:
            outline: the corners of the surface.
            material: what it is made of.
            holes: outlines cut out of it.
            bevel: radius of the rounded edges.
            bends: how the surface is curved.
            tilt: slope of the surface, x and y; it makes the faces of a folded sheet differ.
        """
        patches = [(self._pixels(outline), 255), *((self._pixels(hole), 0) for hole in holes)]
        self._lay(patches, material, bevel, bends, tilt)

    def rod(self, path: Outline, width: float, material: Material) -> None:
        """Lays down a round bar, wire or bead along a path; `width` is its diameter."""
        points = np.asarray(path, np.float64)
        along = np.gradient(points, axis=0)
        aside = width / 2 * along[:, ::-1] * (-1, 1) / np.linalg.norm(along, axis=1, keepdims=True)
        sides = np.concatenate([points + aside, (points - aside)[::-1]])
        ends = (_ellipse(x, y, width / 2, width / 2) for x, y in points[[0, -1]])
        self._lay([(self._pixels(shape), 255) for shape in (sides, *ends)], material, width / 3)

    def _pixels(self, points: Outline) -> np.ndarray:
        return np.asarray(points, np.float64) @ self._view.T + self._centre

    def _lay(
        self,
        patches: Sequence[tuple[np.ndarray, int]],
        material: Material,
        bevel: float,
        bends: Sequence[Bend] = (),
        tilt: Point = (0.0, 0.0),
    ) -> None:
        """Lays down what the patches, outlines in pixels to be filled with 255 or 0, leave of each other."""
        bevel_px = float(np.clip(bevel * self._scale, 0.8, 12))
        place = self._place(patches[0][0], 2 * bevel_px + 2)
        if place is None:
            return
        mask = _mask(patches, place)
        cover = np.asarray(mask, np.float32) / 255
        raised = np.asarray(mask.filter(ImageFilter.GaussianBlur(bevel_px)), np.float32) / 255
        edge_y, edge_x = np.gradient(raised * (-_RELIEF * bevel_px))
        slope_x, slope_y = self._slopes(place, bends, tilt)
        lit = self._lit(slope_x + edge_x, slope_y + edge_y, place, material)
        rgb, alpha = self.rgb[:, place[0], place[1]], self.alpha[place]
        rgb *= (1 - 0.5 * raised) * (1 - cover)  # what lies below is in the part's shadow
        rgb += lit * cover
        alpha += (1 - alpha) * cover

    def _place(self, outline: np.ndarray, margin_px: float) -> _Place | None:
        """Rows and columns of the board around an outline; None where it lies beside the board."""
        height, width = self.alpha.shape
        left, top = np.clip(outline.min(0) - margin_px, 0, (width, height)).astype(int).tolist()
        right, bottom = np.clip(outline.max(0) + margin_px, 0, (width, height)).astype(int).tolist()
        return (slice(top, bottom), slice(left, right)) if right - left > 1 and bottom - top > 1 else None

    def _slopes(self, place: _Place, bends: Sequence[Bend], tilt: Point) -> tuple[np.ndarray, np.ndarray]:
        """How a surface falls to the right and down, each float32 [h, w], or [1, 1] where it is flat."""
        x, y = self._x[:, place[1]], self._y[place[0]]
        slope_x, slope_y = (self._view @ tilt / self._scale).astype(np.float32).reshape(2, 1, 1)
        for bend in bends:
            centre_x, centre_y = self._pixels([bend.centre])[0].tolist()
            reach_x, reach_y = (self._view @ bend.reach).tolist()
            fall = bend.steepness / math.hypot(reach_x, reach_y) ** 3
            distance = fall * ((x - centre_x) * reach_x + (y - centre_y) * reach_y)
            slope_x, slope_y = slope_x + distance * reach_x, slope_y + distance * reach_y
        return slope_x, slope_y

    def _lit(self, slope_x: np.ndarray, slope_y: np.ndarray, place: _Place, material: Material) -> np.ndarray:
        """Blinn-Phong light, and for metals stripes of surroundings → float32 [3, h, w]."""
        x, y, z = self.light.tolist()
        half_x, half_y, half_z = ((self.light + np.array([0, 0, 1])) / math.sqrt(2 + 2 * z)).tolist()
        facing = 1 / np.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
        brightness = 0.38 + 0.72 * np.maximum((slope_x * x + slope_y * y + z) * facing, 0)
        highlight = np.maximum((slope_x * half_x + slope_y * half_y + half_z) * facing, 0)
        for _ in range(material.polish):
            highlight *= highlight
        if material.mirror:
            across = (self._x[:, place[1]] * x + self._y[place[0]] * y) / (0.9 * self._scale)
            stripes = np.sin(4.2 * (slope_x + slope_y) * facing + across)
            brightness *= 1 + 0.45 * material.mirror * stripes
        return np.minimum(_tinted(brightness, material.colour) + 255 * material.gloss * highlight, 255)


def _mask(patches: Sequence[tuple[np.ndarray, int]], place: _Place) -> Image.Image:
    """The patches, drawn one over the other with smooth edges: 0 to 255, of the size of the place."""
    rows, columns = place
    size = ((columns.stop - columns.start) * _SUPERSAMPLING, (rows.stop - rows.start) * _SUPERSAMPLING)
    mask = Image.new("L", size)
    pen = ImageDraw.Draw(mask)
    for outline, fill in patches:
        pen.polygon(((outline - (columns.start, rows.start)) * _SUPERSAMPLING).ravel().tolist(), fill=fill)
    return mask.reduce(_SUPERSAMPLING)


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


def _ellipse(x: float, y: float, rx: float, ry: float, start: float = 0.0, end: float = 360.0) -> np.ndarray:
    """Points on an ellipse from `start` to `end` degrees, clockwise on the picture."""
    angle = np.radians(np.linspace(start, end, 40))
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], axis=1)


def _disc(x: float, y: float, radius: float, start: float = 0.0, end: float = 360.0) -> np.ndarray:
    return _ellipse(x, y, radius, radius, start, end)


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
        board.fill(_ellipse(side * (intake + 0.18), 0.15, 0.1, 0.085), _RECESS, bevel=0.02)
        board.fill(_ellipse(side * (intake + 0.18), 0.15, 0.06, 0.055), _pick(rng, (_CHROME, _BLACK)), bevel=0.03)


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
    board.fill(_ellipse(0.48, waist + 0.14, 0.13, 0.05), _shaded(paint, 0.5), bevel=0.02)
    board.rod([(0.38, waist + 0.14), (0.58, waist + 0.14)], 0.05, _pick(rng, (paint, _CHROME, _BLACK)))
    if rng.random() < 0.4:
        board.fill(_box(-0.66, 0.5, 0.66, 0.6, 0.03), _pick(rng, (_BLACK, _CHROME)), bevel=0.02)


def _fender(board: Board, rng: np.random.Generator) -> None:
    paint = _pick(rng, _PAINTS)
    arch, radius = rng.uniform(-0.2, 0.1), rng.uniform(0.42, 0.52)
    top = _smooth((-0.95, 0.05), (-0.8, -0.3), (-0.2, -0.5), (0.5, -0.55), (0.85, -0.52))
    wheel = _ellipse(arch, 0.5, radius, radius + 0.05, 360, 180)
    outline = np.concatenate([top, [(0.9, 0.5)], wheel, [(-0.85, 0.5)]])
    board.fill(outline, paint, bevel=0.05, bends=(Bend((0, 0.1), (0, 0.75), 0.9), Bend((0, 0), (1.2, 0), 0.4)))
    board.rod(_ellipse(arch, 0.5, radius + 0.03, radius + 0.08, 350, 190), 0.045, _shaded(paint, 0.9))
    board.rod(_smooth((-0.75, -0.12), (0, -0.28), (0.84, -0.32)), 0.025, _shaded(paint, 0.85))
    if rng.random() < 0.5:
        board.fill(_box(0.55, -0.22, 0.72, -0.14, 0.04), _pick(rng, (_YELLOW, _BLACK)), bevel=0.02)


def _bonnet(board: Board, rng: np.random.Generator) -> None:
    paint = _pick(rng, _PAINTS)
    narrow, nose = rng.uniform(0.62, 0.8), rng.uniform(0.6, 0.75)
    front = _ellipse(0, nose - 0.15, narrow, 0.2, 180, 0)
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

        def at(points: Outline, x=x, y=y, scale=scale, degrees=degrees) -> np.ndarray:
            return _moved(points, x, y, scale, degrees)

        board.fill(at(_box(-0.13, -0.5, 0.13, 0.75, 0.08)), plastic, bevel=0.05 * scale)
        for level in range(fins):
            width, top = 0.36 - 0.05 * level, -0.25 + 0.95 * level / fins
            fin = [(-width, top), (width, top), (width * 0.6, top + 0.14), (-width * 0.6, top + 0.14)]
            board.fill(at(fin), plastic, bevel=0.03 * scale)
        board.fill(at(_ellipse(0, -0.58, head, head * 0.36)), plastic, bevel=0.06 * scale)
        board.fill(at(_ellipse(0, -0.64, head * 0.5, head * 0.15)), _shaded(plastic, 0.85), bevel=0.03 * scale)


def _grommets(board: Board, rng: np.random.Generator) -> None:
    plastic = _pick(rng, _PLASTICS)
    bore, squash = rng.uniform(0.3, 0.6), rng.uniform(0.75, 1)
    for x, y, scale, _ in _scatter(rng, int(rng.integers(1, 4))):
        radius = 0.78 * scale
        hole = _ellipse(x, y, radius * bore, radius * bore * squash)
        board.fill(_ellipse(x, y, radius, radius * squash), plastic, holes=[hole], bevel=0.06 * scale)
        collar = _ellipse(x, y - 0.04, radius * (bore + 0.22), radius * (bore + 0.22) * squash)
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
        board.fill(_ellipse(x + depth * 0.3, 0.35 + depth * 0.55, 0.12, 0.06), _RECESS, bevel=0.01)
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
    board.fill(_ellipse(0, -height - 0.02, 0.1, 0.05), _STEEL, bevel=0.03)


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
        upper = _ellipse(0, -0.42, 0.3, 0.36, -20, -270)
        lower = _ellipse(0, 0.34, 0.36, 0.4, -90, open_end)
        board.rod(_moved(np.concatenate([upper, lower]), shift), width, metal)


def _rings(board: Board, rng: np.random.Generator) -> None:
    metal = _pick(rng, _METALS)
    width, squash = rng.uniform(0.13, 0.22), rng.uniform(0.7, 1)
    if rng.random() < 0.5:
        board.rod(_ellipse(0, 0, 0.72, 0.72 * squash), width, metal)
        board.rod(_ellipse(0, 0, 0.72, 0.72 * squash, 80, 100), width * 1.15, _shaded(metal, 0.9))
        return
    for x in (-0.5, 0.4):
        board.rod(_ellipse(x, 0, 0.48, 0.4 * squash), width * 0.8, metal)
    board.rod(_ellipse(-0.5, 0, 0.48, 0.4 * squash, -60, 0), width * 0.8, metal)


def _hose_clamp(board: Board, rng: np.random.Generator) -> None:
    metal = _pick(rng, (_ZINC, _STEEL, _CHROME, _BRASSY))
    band = rng.uniform(0.12, 0.2)
    squash = rng.uniform(0.75, 1)
    board.rod(_ellipse(0, 0.1, 0.72, 0.72 * squash), band, metal)
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
        board.fill(_ellipse(side * 0.72, 0.3 + width * 0.45, 0.09, 0.06), _RECESS, bevel=0.01)
    outer, inner = _ellipse(0, 0.3, radius + 0.12, radius + 0.14, 180, 360), _disc(0, 0.3, radius, 360, 180)
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
    board.fill(_ellipse(0, 0.18, radius * 1.2, 0.12), body, bevel=0.05)
    _tube(board, 0.15, 0.9, 0.16, body)
    board.fill(_box(0.1, 0.5, 0.38, 0.92, 0.05), body, bevel=0.03)
    for y in (0.6, 0.8):
        _bolt_hole(board, 0.27, y, 0.05)
    board.fill(_ellipse(0, -0.68, radius * 1.15, 0.13), _RUBBER, bevel=0.06)
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
    rim = np.concatenate([_ellipse(0, 0.1, 0.95, 0.16, 180, 0), _ellipse(0, 0.1, 0.95, 0.7, 0, 180)])
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
    board.fill(_ellipse(-0.66, -0.52, 0.22, 0.08), _shaded(leather, 0.35), bevel=0.03)
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


def draw_goods(goods: Goods, rng: np.random.Generator, *, looks: int | None = None) -> bytes:
    """Photographs an article.

    Args:
        goods: the kind of goods.
        rng: where the camera, the light and the background come from.
        looks: the seed of the article's shape and colour; the same one is the same article. None draws it from `rng`.

    Returns:
        A JPEG of 320x240 to 400x400 pixels, now and then a PNG or WEBP.
    """
    width, height = _SIZES[rng.integers(len(_SIZES))]
    board = Board(width, height, *_viewpoint(rng, width, height), _light(rng))
    goods.draw(board, rng if looks is None else np.random.default_rng(looks))
    return _encode(_develop(_on_ground(board, rng), rng), rng)


def draw_unknown(rng: np.random.Generator) -> bytes:
    """Photographs what no classifier of goods should name: documents, failed exposures, other trades' goods.

    Args:
        rng: where everything comes from.

    Returns:
        An encoded picture, as `draw_goods` returns.
    """
    scenes = (_document, _document, _document, _carton, _blank, _dark, _static, _landscape)
    chosen = int(rng.integers(len(scenes) + len(OUTSIDE)))
    if chosen >= len(scenes):
        return draw_goods(OUTSIDE[chosen - len(scenes)], rng)
    width, height = _SIZES[rng.integers(len(_SIZES))]
    return _encode(_develop(scenes[chosen](rng, width, height), rng), rng)


def _viewpoint(rng: np.random.Generator, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the camera stands → the view, float [2, 2], and the article's centre in pixels, float [2]."""
    turn = np.radians(rng.uniform(0, 360) if rng.random() < 0.06 else rng.normal(0, 11))
    mirrored = 2 * int(rng.integers(2)) - 1
    scale = min(width, height) * rng.uniform(0.4, 0.56)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    slant = np.array([[mirrored, rng.normal(0, 0.08)], [0, rng.uniform(0.85, 1.1)]])
    off = rng.normal(0, 0.14 if rng.random() < 0.08 else 0.03, 2) * (width, height)
    return scale * rotation @ slant, np.array([width / 2, height / 2]) + off


def _light(rng: np.random.Generator) -> np.ndarray:
    """A unit vector towards a light above the camera, from the left or the right; float [3]."""
    towards = np.array([rng.uniform(-0.8, 0.8), rng.uniform(-0.9, -0.3), rng.uniform(0.7, 1.1)])
    return towards / np.linalg.norm(towards)


def _on_ground(board: Board, rng: np.random.Generator) -> np.ndarray:
    """The article on some ground, with its shadow → float32 [3, H, W]."""
    height, width = board.alpha.shape
    ground = _ground(rng, width, height)
    shade = Image.fromarray((board.alpha * 255).astype(np.uint8)).reduce(4)
    away = -board.light[:2] * rng.uniform(5, 14) / 4
    shade = shade.transform(
        shade.size, Image.Transform.AFFINE, (1, 0, -away[0], 0, 1, -away[1]), Image.Resampling.BILINEAR
    )
    shade = shade.filter(ImageFilter.GaussianBlur(rng.uniform(1, 3))).resize((width, height), Image.Resampling.BILINEAR)
    ground *= (1 - np.asarray(shade, np.float32) * np.float32(rng.uniform(0.45, 0.75) / 255)) * (1 - board.alpha)
    ground += board.rgb
    return ground


def _ground(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """What the goods lie on → float32 [3, H, W]."""
    grounds = (_sweep, _sweep, _wood, _cardboard, _concrete, _squares)
    ground = grounds[rng.integers(len(grounds))](rng, width, height)
    if rng.random() < 0.12:
        _lay_ruler(ground, rng)
    elif rng.random() < 0.12:
        _lay_label(ground, rng)
    return ground


def _cloud(rng: np.random.Generator, width: int, height: int, columns: int, rows: int) -> np.ndarray:
    """Smooth noise of so many columns and rows → float32 [H, W], spread about 0 with deviation of about 1."""
    coarse = Image.fromarray(rng.standard_normal((rows, columns), np.float32))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


def _tinted(brightness: np.ndarray, colour: tuple[float, float, float]) -> np.ndarray:
    """A picture of one hue: float32 [H, W] → float32 [3, H, W]."""
    return np.asarray(colour, np.float32)[:, None, None] * brightness


def _picture(planes: Iterable[np.ndarray]) -> Image.Image:
    """Three planes, float [H, W], 0 to 255 → an RGB picture."""
    return Image.merge("RGB", [Image.fromarray(plane.clip(0, 255).astype(np.uint8)) for plane in planes])


def _planes(picture: Image.Image) -> np.ndarray:
    """An RGB picture → float32 [3, H, W], 0 to 255."""
    return np.asarray(picture, np.float32).transpose(2, 0, 1)


def _sweep(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Paper that runs up behind the goods, as in a photographer's booth."""
    colours = ((236, 236, 234), (214, 216, 218), (250, 250, 250), (176, 190, 204), (214, 203, 186), (96, 100, 106))
    fall = np.linspace(rng.uniform(0.85, 1.05), rng.uniform(0.85, 1.05), height, dtype=np.float32)[:, None]
    return _tinted(np.broadcast_to(fall, (height, width)), colours[rng.integers(len(colours))])


def _wood(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    colours = ((168, 122, 78), (140, 98, 62), (196, 158, 112), (110, 84, 62))
    grain = 1 + 0.05 * _cloud(rng, width, height, 4, 60) + 0.04 * _cloud(rng, width, height, 12, 150)
    boards = int(rng.integers(2, 5))
    edges = np.linspace(0, height, boards + 1).astype(int)
    for top, bottom in pairwise(edges):
        grain[top:bottom] *= rng.uniform(0.9, 1.08)
        grain[top : top + 2] *= 0.6
    return _tinted(grain, colours[rng.integers(len(colours))])


def _cardboard(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    flutes = 1 + 0.02 * np.sin(np.arange(width, dtype=np.float32) * rng.uniform(0.5, 0.9))
    return _tinted(flutes * (1 + 0.03 * _cloud(rng, width, height, 80, 60)), (194, 156, 112))


def _concrete(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    specks = 0.05 * _cloud(rng, width, height, 10, 8) + 0.05 * _cloud(rng, width, height, width // 2, height // 2)
    return _tinted(1 + specks, (148, 147, 143) if rng.random() < 0.6 else (112, 112, 112))


def _squares(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A cutting mat with lines, or a checkered cloth."""
    side = int(rng.integers(22, 44))
    x, y = np.arange(width), np.arange(height)[:, None]
    if rng.random() < 0.5:
        lines = ((x % side < 1) | (y % side < 1)).astype(np.float32)
        return _tinted(1 + 0.5 * lines, ((48, 104, 84), (60, 84, 120), (84, 84, 88))[rng.integers(3)])
    checks = ((x // side + y // side) % 2).astype(np.float32)
    return _tinted(
        1 - rng.uniform(0.08, 0.3) * checks, ((226, 226, 222), (206, 190, 160), (150, 170, 190))[rng.integers(3)]
    )


def _lay_ruler(ground: np.ndarray, rng: np.random.Generator) -> None:
    """Lays a ruler along the lower edge, in place."""
    _, height, width = ground.shape
    strip = Image.new("RGB", (width, 26), (232, 206, 96) if rng.random() < 0.5 else (214, 218, 222))
    pen = ImageDraw.Draw(strip)
    for number, x in enumerate(range(int(rng.integers(0, 9)), width, 7)):
        pen.line((x, 0, x, 12 if number % 10 == 0 else 7 if number % 5 == 0 else 4), fill=(40, 40, 40))
    ground[:, height - 30 : height - 4] = _planes(strip)
    ground[:, height - 4 : height - 1] *= 0.7


def _lay_label(ground: np.ndarray, rng: np.random.Generator) -> None:
    """Lays a sample's paper label into a corner, in place."""
    label = Image.new("RGB", (92, 50), (246, 246, 240))
    pen = ImageDraw.Draw(label)
    pen.text((6, 3), f"SAMPLE {rng.integers(100, 999)}", font=_font(11), fill=(40, 40, 60))
    _scribble(pen, rng, 6, 22, 84, 46)
    left = 6 if rng.random() < 0.5 else ground.shape[2] - 98
    ground[:, 8:60, left + 2 : left + 96] *= 0.8
    ground[:, 6:56, left : left + 92] = _planes(label)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _scribble(pen: ImageDraw.ImageDraw, rng: np.random.Generator, left: int, top: int, right: int, bottom: int) -> None:
    """Lines of what reads as text from afar."""
    for y in range(top, bottom - 3, 8):
        x = left
        while x < right - 8 and rng.random() > 0.04:
            word = int(rng.integers(5, 26))
            pen.rectangle((x, y, min(x + word, right), y + 3), fill=(70, 72, 82))
            x += word + 5


def _document(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """An invoice or packing list on a desk."""
    page = Image.new("RGB", (300, 380), (247, 246, 241))
    pen = ImageDraw.Draw(page)
    title = ("INVOICE", "PACKING LIST", "BILL OF LADING", "CERTIFICATE")[rng.integers(4)]
    pen.text((24, 18), title, font=_font(20), fill=(30, 34, 60))
    _scribble(pen, rng, 24, 52, 140, 110)
    _scribble(pen, rng, 180, 52, 276, 90)
    rows = range(126, int(rng.integers(220, 300)), 18)
    for y in rows:
        pen.rectangle((24, y, 276, y + 18), outline=(150, 150, 156))
        _scribble(pen, rng, 30, y + 7, 130, y + 14)
        pen.text((226, y + 3), f"{rng.integers(10, 9999):,}", font=_font(11), fill=(50, 50, 60))
    for x in (150, 216):
        pen.line((x, 126, x, rows[-1] + 18), fill=(150, 150, 156))
    _scribble(pen, rng, 24, rows[-1] + 30, 200, 360)
    if rng.random() < 0.6:
        pen.ellipse((196, 300, 262, 366), outline=(178, 50, 60), width=3)
        pen.text((207, 325), "PAID", font=_font(16), fill=(178, 50, 60))
    ground = _picture(_ground(rng, width, height))
    zoom = height / 380 * rng.uniform(0.95, 1.5)
    sheet = page.resize((int(300 * zoom), int(380 * zoom)), Image.Resampling.BILINEAR).convert("RGBA")
    sheet = sheet.rotate(float(rng.normal(0, 6)), Image.Resampling.BICUBIC, expand=True)
    ground.paste(sheet, ((width - sheet.width) // 2, (height - sheet.height) // 2 + int(rng.normal(0, 15))), sheet)
    return _planes(ground)


def _carton(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A closed carton with tape and a shipping label: the goods cannot be seen."""
    scene = _cardboard(rng, width, height)
    tape = slice(int(height * 0.42), int(height * 0.56))
    scene[:, tape] = scene[:, tape] * 0.6 + np.array([[[85.0]], [[76.0]], [[56.0]]])
    scene[:, height // 2 - 1] *= 0.55
    label = Image.new("RGB", (110, 74), (248, 248, 246))
    pen = ImageDraw.Draw(label)
    x = 8
    while x < 98:
        bar = int(rng.integers(1, 4))
        pen.rectangle((x, 8, x + bar - 1, 34), fill=(20, 20, 20))
        x += bar + int(rng.integers(1, 4))
    _scribble(pen, rng, 8, 42, 100, 70)
    left, top = int(rng.integers(10, width - 120)), int(rng.integers(10, height - 84))
    scene[:, top : top + 74, left : left + 110] = _planes(label)
    return scene


def _blank(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    return _sweep(rng, width, height)


def _dark(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A picture taken with the lens cap on."""
    return _tinted(9 + 3 * np.abs(_cloud(rng, width, height, 3, 3)), (1.0, 1.0, 1.15))


def _static(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A camera that sent noise."""
    return rng.integers(0, 256, (3, height, width)).astype(np.float32)


def _landscape(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Sky, sun and hills."""
    down = np.broadcast_to(np.linspace(0, 1, height, dtype=np.float32)[:, None], (height, width))
    scene = _picture(_tinted(1 - down, (92, 142, 206)) + _tinted(down, (234, 214, 186)))
    pen = ImageDraw.Draw(scene)
    sun_x, sun_y = rng.uniform(0.1, 0.9) * width, rng.uniform(0.1, 0.4) * height
    pen.ellipse((sun_x - 18, sun_y - 18, sun_x + 18, sun_y + 18), fill=(255, 240, 190))
    for level, colour in ((0.55, (120, 148, 150)), (0.68, (84, 124, 96)), (0.82, (58, 96, 60))):
        ridge = height * (level + 0.05 * _cloud(rng, width, 1, 7, 1)[0])
        pen.polygon([(0, height), *zip(range(width), ridge.tolist(), strict=True), (width, height)], fill=colour)
    return _planes(scene.filter(ImageFilter.GaussianBlur(0.8)))


def _develop(scene: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """What a camera makes of a scene, float32 [3, H, W]: uneven light, a colour cast, noise, blur."""
    _, height, width = scene.shape
    x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    lean_x, lean_y, corner = rng.normal(0, 0.07), rng.normal(0, 0.07), rng.uniform(0, 0.1)
    light = rng.uniform(0.82, 1.12) * (
        1 + np.float32(lean_x) * x + np.float32(lean_y) * y - np.float32(corner) * (x * x + y * y)
    )
    cast = 1 + rng.normal(0, 0.015, 3)
    noise = (rng.random((height, width), np.float32) - 0.5) * rng.uniform(4, 20)
    picture = _picture(plane * light * np.float32(tint) + noise for plane, tint in zip(scene, cast, strict=True))
    if rng.random() < 0.25:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 1.4)))
    return picture


def _encode(picture: Image.Image, rng: np.random.Generator) -> bytes:
    encoded = io.BytesIO()
    kind = rng.random()
    if kind < 0.04:
        picture.save(encoded, "PNG", compress_level=1)
    elif kind < 0.08:
        picture.save(encoded, "WEBP", quality=80, method=0)
    else:
        picture.save(encoded, "JPEG", quality=int(rng.integers(60, 93)))
    return encoded.getvalue()
