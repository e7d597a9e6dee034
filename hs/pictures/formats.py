"""What a file is by its first bytes, whatever its name says; one table holds all that is known of a picture format.

To read a new format, give its row a plugin (tests/test_pictures.py decodes every row that has one).
"""

import re
from dataclasses import dataclass

from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile


class _Jpeg(JpegImageFile):
    """A JPEG without Pillow's search for the resolution, which reads all of EXIF and warns where that is broken."""

    def _read_dpi_from_exif(self) -> None:
        pass


class _Tiff(TiffImageFile):
    """A TIFF that Pillow does not turn upright: for that it reads all of the metadata, and fails with any of it."""

    def load_end(self) -> None:
        self._size = self.im.size  # its sides are swapped before any turn, where one is to come


@dataclass(frozen=True)
class PictureFormat:
    """A format of pictures.

    Attributes:
        signature: what a file starts with, a regular expression.
        plugin: Pillow's class that decodes it; None where such pictures are recognised and refused. Not by
            `Image.open`: that warns of a large picture before its size can be asked, makes an MPO of some JPEGs, and
            raises KeyError for a format whose plugin nobody has imported yet.
        suffixes: of file names, in lower case.
        by_default: whether it is read where the configuration does not say.
    """

    signature: bytes
    plugin: type[ImageFile] | None = None
    suffixes: tuple[str, ...] = ()
    by_default: bool = False


# The first signature that fits counts. An AVIF may name HEIC's brands too, and both are MP4s by structure.
PICTURES = {
    "JPEG": PictureFormat(rb"\xff\xd8\xff", _Jpeg, (".jpg", ".jpeg"), by_default=True),
    "PNG": PictureFormat(rb"\x89PNG\r\n\x1a\n", PngImageFile, (".png",), by_default=True),
    "WEBP": PictureFormat(rb"RIFF.{4}WEBP", WebPImageFile, (".webp",), by_default=True),
    "BMP": PictureFormat(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00{3}", BmpImageFile, (".bmp",), by_default=True),
    "GIF": PictureFormat(rb"GIF8[79]a", GifImageFile, (".gif",), by_default=True),
    "TIFF": PictureFormat(rb"II[*+]\x00|MM\x00[*+]", _Tiff, (".tif", ".tiff"), by_default=True),
    "AVIF": PictureFormat(rb".{4}ftyp(?:.{4}){0,16}?avi[fs]", AvifImageFile, (".avif",)),
    "JPEG2000": PictureFormat(rb"\x00{3}\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"),
    "PSD": PictureFormat(rb"8BPS\x00\x01"),
    "ICO": PictureFormat(rb"\x00\x00\x01\x00[^\x00]\x00"),
    "CUR": PictureFormat(rb"\x00\x00\x02\x00[^\x00]\x00"),
    "ICNS": PictureFormat(rb"icns"),
    "QOI": PictureFormat(rb"qoif"),
    "PPM": PictureFormat(rb"P[1-6]\s+(?:#[^\n]*\n\s*)*\d"),
    "EPS": PictureFormat(rb"%!PS-Adobe|\xc5\xd0\xd3\xc6"),
    "WMF": PictureFormat(rb"\xd7\xcd\xc6\x9a|\x01\x00{3}.{36} EMF"),
    "PCX": PictureFormat(rb"\x0a[\x00\x02\x03\x05]\x01[\x01\x02\x04\x08]"),
    "DDS": PictureFormat(rb"DDS \x7c\x00{3}"),
    "SGI": PictureFormat(rb"\x01\xda[\x00\x01][\x01\x02]\x00[\x01-\x03]"),
    "SUN": PictureFormat(rb"\x59\xa6\x6a\x95"),
    "XBM": PictureFormat(rb"\s*#define\s+\w+_width\s"),
    "XPM": PictureFormat(rb"/\* XPM \*/"),
    "FITS": PictureFormat(rb"SIMPLE  =\s+T"),
    "BLP": PictureFormat(rb"BLP[12]"),
    "FLI": PictureFormat(rb".{4}[\x11\x12]\xaf.{8}\x08\x00"),
    "DCX": PictureFormat(rb"\xb1\x68\xde\x3a"),
    "VTF": PictureFormat(rb"VTF\x00"),
    "EXR": PictureFormat(rb"v/1\x01"),
    "JPEG XR": PictureFormat(rb"II\xbc"),
    "DICOM": PictureFormat(rb".{128}DICM"),
    "TGA": PictureFormat(rb".[\x00\x01][\x01-\x03\x09-\x0b].{9}[^\x00].[^\x00].[\x08\x0f\x10\x18\x20][\x00-\x3f]"),
}
DECODED = {name: known.plugin for name, known in PICTURES.items() if known.plugin}
DEFAULT_FORMATS = tuple(name for name, known in PICTURES.items() if known.by_default)
SUFFIXES = frozenset(suffix for known in PICTURES.values() if known.by_default for suffix in known.suffixes)

_TEXT = rb"(?:\xef\xbb\xbf)?\s*"
_OTHERS = {
    "HEIC": rb".{4}ftyp(?:he[iv][cmsx]|mif1|msf1)",
    "MOV": rb".{4}(?:ftypqt  |moov)",
    "MP4": rb".{4}ftyp",
    "JPEG XL": rb"\xff\x0a|\x00{3}\x0cJXL ",
    "PDF": rb"\s*%PDF-",
    "OFFICE": rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1|PK\x03\x04.{26}(?:\[Content_Types\]|_rels/|mimetypeapplication/)",
    "ZIP": rb"PK(?:\x03\x04|\x05\x06)",
    "GZIP": rb"\x1f\x8b",
    "7Z": rb"7z\xbc\xaf\x27\x1c",
    "RAR": rb"Rar!\x1a\x07",
    "AVI": rb"RIFF.{4}AVI ",
    "MKV": rb"\x1a\x45\xdf\xa3",
    "HTML": _TEXT + rb"(?i:(?:<\?xml[^>]*>\s*)?<(?:!doctype html|html))",
    "SVG": _TEXT + rb"(?:<(?:\?xml|!--|!DOCTYPE svg).*?)?<svg[\s>]",
    "XML": _TEXT + rb"<\?xml",
    "BASE64": rb"data:image/|/9j/|iVBORw0KGgo|R0lGODdh|R0lGODlh|UklGR",
    "text": rb"[^\x00-\x08\x0e-\x1a\x1c-\x1f\x7f\xff]+\Z",
}
_STARTS = {name: known.signature for name, known in PICTURES.items()} | _OTHERS
_STARTS["TGA"] = _STARTS.pop("TGA")  # it has no signature, only fields that look like one: after all others
_SIGNATURES = {name: re.compile(start, re.DOTALL) for name, start in _STARTS.items()}


def kind_of(data: bytes) -> str:
    """What a file is: a picture's format such as `JPEG`, or what else it looks like, such as `PDF`.

    >>> kind_of(b"%PDF-1.4"), kind_of(bytes(9)), kind_of(b"hello")
    ('PDF', 'all zero bytes', 'text')
    """
    head = data[:1024]
    for kind, signature in _SIGNATURES.items():
        if signature.match(head):
            return kind
    return "unknown" if data.strip(b"\x00") else "all zero bytes"
