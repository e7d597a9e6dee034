"""What lies under and around the goods, pictures of nothing known, and what a camera makes of a scene."""

import io
from collections.abc import Iterable
from functools import cache
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from hs_audit.demo.board import tinted


def ground(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
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
    return tinted(np.broadcast_to(fall, (height, width)), colours[rng.integers(len(colours))])


def _wood(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    colours = ((168, 122, 78), (140, 98, 62), (196, 158, 112), (110, 84, 62))
    grain = 1 + 0.05 * _cloud(rng, width, height, 4, 60) + 0.04 * _cloud(rng, width, height, 12, 150)
    boards = int(rng.integers(2, 5))
    edges = np.linspace(0, height, boards + 1).astype(int)
    for top, bottom in pairwise(edges):
        grain[top:bottom] *= rng.uniform(0.9, 1.08)
        grain[top : top + 2] *= 0.6
    return tinted(grain, colours[rng.integers(len(colours))])


def _cardboard(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    flutes = 1 + 0.02 * np.sin(np.arange(width, dtype=np.float32) * rng.uniform(0.5, 0.9))
    return tinted(flutes * (1 + 0.03 * _cloud(rng, width, height, 80, 60)), (194, 156, 112))


def _concrete(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    specks = 0.05 * _cloud(rng, width, height, 10, 8) + 0.05 * _cloud(rng, width, height, width // 2, height // 2)
    return tinted(1 + specks, (148, 147, 143) if rng.random() < 0.6 else (112, 112, 112))


def _squares(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A cutting mat with lines, or a checkered cloth."""
    side = int(rng.integers(22, 44))
    x, y = np.arange(width), np.arange(height)[:, None]
    if rng.random() < 0.5:
        lines = ((x % side < 1) | (y % side < 1)).astype(np.float32)
        return tinted(1 + 0.5 * lines, ((48, 104, 84), (60, 84, 120), (84, 84, 88))[rng.integers(3)])
    checks = ((x // side + y // side) % 2).astype(np.float32)
    return tinted(
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
    desk = _picture(ground(rng, width, height))
    zoom = height / 380 * rng.uniform(0.95, 1.5)
    sheet = page.resize((int(300 * zoom), int(380 * zoom)), Image.Resampling.BILINEAR).convert("RGBA")
    sheet = sheet.rotate(float(rng.normal(0, 6)), Image.Resampling.BICUBIC, expand=True)
    desk.paste(sheet, ((width - sheet.width) // 2, (height - sheet.height) // 2 + int(rng.normal(0, 15))), sheet)
    return _planes(desk)


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
    return tinted(9 + 3 * np.abs(_cloud(rng, width, height, 3, 3)), (1.0, 1.0, 1.15))


def _static(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A camera that sent noise."""
    return rng.integers(0, 256, (3, height, width)).astype(np.float32)


def _landscape(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Sky, sun and hills."""
    down = np.broadcast_to(np.linspace(0, 1, height, dtype=np.float32)[:, None], (height, width))
    scene = _picture(tinted(1 - down, (92, 142, 206)) + tinted(down, (234, 214, 186)))
    pen = ImageDraw.Draw(scene)
    sun_x, sun_y = rng.uniform(0.1, 0.9) * width, rng.uniform(0.1, 0.4) * height
    pen.ellipse((sun_x - 18, sun_y - 18, sun_x + 18, sun_y + 18), fill=(255, 240, 190))
    for level, colour in ((0.55, (120, 148, 150)), (0.68, (84, 124, 96)), (0.82, (58, 96, 60))):
        ridge = height * (level + 0.05 * _cloud(rng, width, 1, 7, 1)[0])
        pen.polygon([(0, height), *zip(range(width), ridge.tolist(), strict=True), (width, height)], fill=colour)
    return _planes(scene.filter(ImageFilter.GaussianBlur(0.8)))


def develop(scene: np.ndarray, rng: np.random.Generator) -> Image.Image:
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


def encode(picture: Image.Image, rng: np.random.Generator) -> bytes:
    """A picture as a file: mostly a JPEG, now and then a PNG or WEBP."""
    encoded = io.BytesIO()
    kind = rng.random()
    if kind < 0.04:
        picture.save(encoded, "PNG", compress_level=1)
    elif kind < 0.08:
        picture.save(encoded, "WEBP", quality=80, method=0)
    else:
        picture.save(encoded, "JPEG", quality=int(rng.integers(60, 93)))
    return encoded.getvalue()


# What no classifier of goods should name; documents are the most frequent.
UNKNOWN_SCENES = (_document, _document, _document, _carton, _blank, _dark, _static, _landscape)
