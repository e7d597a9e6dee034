"""What a file is by its first bytes, whatever its name says."""

import re

# What files start with; the first that fits counts. An AVIF may name HEIC's brands too, and both are MP4s by structure.
PICTURES = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "WEBP": rb"RIFF.{4}WEBP",
    "GIF": rb"GIF8[79]a",
    "BMP": rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00{3}",
    "TIFF": rb"II[*+]\x00|MM\x00[*+]",
    "AVIF": rb".{4}ftyp(?:.{4}){0,16}?avi[fs]",
    "JPEG2000": rb"\x00{3}\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    "PSD": rb"8BPS\x00\x01",
    "ICO": rb"\x00\x00\x01\x00[^\x00]\x00",
    "QOI": rb"qoif",
    "PPM": rb"P[1-6]\s+(?:#[^\n]*\n\s*)*\d",
    "EPS": rb"%!PS-Adobe|\xc5\xd0\xd3\xc6",
    "WMF": rb"\xd7\xcd\xc6\x9a|\x01\x00{3}.{36} EMF",
}
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
_SIGNATURES = {kind: re.compile(start, re.DOTALL) for kind, start in (PICTURES | _OTHERS).items()}


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
