"""Golden pictures: drawn patterns and what a model said of them when it was exported."""

import numpy as np

TOLERANCE = 1e-3  # of a probability, between one machine's arithmetic and another's


def golden_pictures(height: int, width: int) -> np.ndarray:
    """Four patterns of colours, uint8 [4, height, width, 3]: they hold no secret, unlike pictures of cases."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    rings = np.sin(40 * np.hypot(y - 0.4, x - 0.6))
    stripes = np.sign(np.sin(25 * (x + 0.5 * y)))
    disc = np.hypot(y - 0.5, x - 0.5) < 0.3
    patterns = [
        (x, y, 1 - x),
        (0.5 + 0.5 * rings, y, 0.5 - 0.5 * rings),
        (0.5 + 0.5 * stripes, 0.5 + 0.3 * stripes, 1 - x * y),
        (np.where(disc, 0.9, 0.95), np.where(disc, 0.2, 0.95), np.where(disc, 0.1, 0.95)),
    ]
    return np.rint(255 * np.stack([np.stack(pattern, axis=-1) for pattern in patterns])).astype(np.uint8)
