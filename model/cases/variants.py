"""Random variants of a picture: what another photo of the same goods might look like."""

import math

import numpy as np
from PIL import Image

# The light is left as it is: varying it gave nothing on held-out cases (docs/evaluation.md, "Another light").
_MOST_TURNED = 15.0
_SMALLEST_CROP = 0.6


def variant(pixels: np.ndarray, random: np.random.Generator, side: int | None = None) -> np.ndarray:
    """A crop of 0.6 to 1 of each side, turned by up to 15 degrees, mirrored half of the time.

    Args:
        pixels: uint8 [H, W, 3].
        random: what decides.
        side: of the variant, where it is square and of another size than the picture.

    Returns:
        uint8 [H, W, 3], or [side, side, 3]; black where the turned crop reaches beyond the picture.
    """
    height, width = pixels.shape[:2]
    angle = math.radians(random.uniform(-_MOST_TURNED, _MOST_TURNED))
    scale = random.uniform(_SMALLEST_CROP, 1.0)
    middle_x = width / 2 + random.uniform(-0.5, 0.5) * width * (1 - scale)
    middle_y = height / 2 + random.uniform(-0.5, 0.5) * height * (1 - scale)
    mirror = -1 if random.random() < 0.5 else 1
    # From the variant's pixels to the picture's: mirrored, scaled and turned about its middle, moved to the crop's.
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    wide, high = (side, side) if side else (width, height)
    to_x = (mirror * cos * width / wide, -sin * height / high, middle_x - mirror * cos * width / 2 + sin * height / 2)
    to_y = (mirror * sin * width / wide, cos * height / high, middle_y - mirror * sin * width / 2 - cos * height / 2)
    image = Image.fromarray(pixels)
    return np.asarray(image.transform((wide, high), Image.Transform.AFFINE, (*to_x, *to_y), Image.Resampling.BILINEAR))
