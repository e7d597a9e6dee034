"""A picture in the making: an article is a stack of parts, each a mask with rounded edges, lit from one side.

An article is drawn in coordinates of its own: about [-1, 1] both ways, x to the right, y down, lengths as shares of 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

_SUPERSAMPLING = 3
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
        ends = (ellipse(x, y, width / 2, width / 2) for x, y in points[[0, -1]])
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
        return np.minimum(tinted(brightness, material.colour) + 255 * material.gloss * highlight, 255)


def _mask(patches: Sequence[tuple[np.ndarray, int]], place: _Place) -> Image.Image:
    """The patches, drawn one over the other with smooth edges: 0 to 255, of the size of the place."""
    rows, columns = place
    size = ((columns.stop - columns.start) * _SUPERSAMPLING, (rows.stop - rows.start) * _SUPERSAMPLING)
    mask = Image.new("L", size)
    pen = ImageDraw.Draw(mask)
    for outline, fill in patches:
        pen.polygon(((outline - (columns.start, rows.start)) * _SUPERSAMPLING).ravel().tolist(), fill=fill)
    return mask.reduce(_SUPERSAMPLING)  # Pillow draws polygons with hard edges only


def tinted(brightness: np.ndarray, colour: tuple[float, float, float]) -> np.ndarray:
    """A picture of one hue: float32 [H, W] → float32 [3, H, W]."""
    return np.asarray(colour, np.float32)[:, None, None] * brightness


def ellipse(x: float, y: float, rx: float, ry: float, start: float = 0.0, end: float = 360.0) -> np.ndarray:
    """Points on an ellipse from `start` to `end` degrees, clockwise on the picture."""
    angle = np.radians(np.linspace(start, end, 40))
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], axis=1)
