"""Random numbers → photographs of goods that the demo's classifier learns, and of things that it does not know.

What an article looks like and how it was photographed can come from two generators, so that one article can be
photographed several times.
"""

import numpy as np
from PIL import Image, ImageFilter

from hs_audit.demo.articles import GOODS, OUTSIDE, Goods
from hs_audit.demo.board import Board
from hs_audit.demo.scenes import UNKNOWN_SCENES, develop, encode, ground

__all__ = ["GOODS", "OUTSIDE", "Goods", "draw_goods", "draw_unknown"]

_SIZES = ((320, 240), (360, 270), (384, 288), (400, 300), (320, 320), (288, 360))  # width, height in pixels


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
    return encode(develop(_on_ground(board, rng), rng), rng)


def draw_unknown(rng: np.random.Generator) -> bytes:
    """Photographs what no classifier of goods should name: documents, failed exposures, other trades' goods.

    Args:
        rng: where everything comes from.

    Returns:
        An encoded picture, as `draw_goods` returns.
    """
    chosen = int(rng.integers(len(UNKNOWN_SCENES) + len(OUTSIDE)))
    if chosen >= len(UNKNOWN_SCENES):
        return draw_goods(OUTSIDE[chosen - len(UNKNOWN_SCENES)], rng)
    width, height = _SIZES[rng.integers(len(_SIZES))]
    return encode(develop(UNKNOWN_SCENES[chosen](rng, width, height), rng), rng)


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
    lying = ground(rng, width, height)
    # A sixteenth of the pixels will do, as a shadow is blurred.
    shade = Image.fromarray((board.alpha * 255).astype(np.uint8)).reduce(4)
    away = -board.light[:2] * rng.uniform(5, 14) / 4
    shade = shade.transform(
        shade.size, Image.Transform.AFFINE, (1, 0, -away[0], 0, 1, -away[1]), Image.Resampling.BILINEAR
    )
    shade = shade.filter(ImageFilter.GaussianBlur(rng.uniform(1, 3))).resize((width, height), Image.Resampling.BILINEAR)
    lying *= (1 - np.asarray(shade, np.float32) * np.float32(rng.uniform(0.45, 0.75) / 255)) * (1 - board.alpha)
    lying += board.rgb
    return lying
