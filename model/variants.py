"""Random variants of a picture: what another photo of the same goods might look like."""

import numpy as np
from PIL import Image


def variant(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A crop of 0.6 to 1 of each side, turned by up to 15 degrees, mirrored half of the time.

    Args:
        pixels: uint8 [H, W, 3].
        random: what decides.

    Returns:
        uint8 [H, W, 3].
    """
    height, width = pixels.shape[:2]
    image = Image.fromarray(pixels).rotate(random.uniform(-15, 15), Image.Resampling.BILINEAR)
    scale = random.uniform(0.6, 1.0)
    left, top = random.uniform(0, width * (1 - scale)), random.uniform(0, height * (1 - scale))
    box = (left, top, left + width * scale, top + height * scale)
    image = image.resize((width, height), Image.Resampling.BILINEAR, box=box)
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(image)
