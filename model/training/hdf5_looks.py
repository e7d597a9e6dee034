"""What makes an HDF5 file no plain file of weights, found before anything in it is read."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import h5py

from hs.text import excerpt

MOST_WEIGHT_BYTES = 4 << 30  # VGG19 whole has 0.6 GB
_MOST_OBJECTS = 20_000  # ResNet152 has 1,600
_MOST_ATTRIBUTE_BYTES = 16 << 20  # Inception-V3 is told in 200 kB
_MOST_CHUNK_BYTES = 256 << 20
_MOST_GROWTH = 4  # weights hardly compress at all
_HARMLESS_FILTERS = {1, 2, 3}  # deflate, shuffle, checksums: any other number is a library that HDF5 would load


def first_problem(file: Path | BinaryIO, stored_bytes: int) -> str | None:
    """Why Keras should not read this file of weights; None where nothing speaks against it.

    HDF5's own code reads the structure, so a file of a stranger is looked at in a process of its own.
    """
    try:
        with h5py.File(file, "r") as opened:
            return next(_problems(opened, stored_bytes), None)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:  # h5py has no kind of its own
        return f"is no HDF5 file that can be read: {excerpt(str(error))}"


def _problems(file: h5py.File, stored_bytes: int) -> Iterator[str]:
    most_bytes = min(MOST_WEIGHT_BYTES, _MOST_GROWTH * stored_bytes + (1 << 20))
    objects, weights, told = 0, 0, 0
    pending, seen = [file["/"]], {_place(file["/"])}
    while pending:
        group = pending.pop()
        told += _attribute_bytes(group)
        if told > _MOST_ATTRIBUTE_BYTES:
            yield f"has attributes of more than {_MOST_ATTRIBUTE_BYTES:,} bytes, up to {excerpt(group.name, most=80)}"
        for name in group:
            objects += 1
            where = excerpt(f"{group.name.rstrip('/')}/{name}", most=80)
            if objects > _MOST_OBJECTS:
                yield f"holds more than {_MOST_OBJECTS:,} objects"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                yield f"links to another place at {where}"
            found = group[name]
            if _place(found) in seen:
                yield f"holds {where} twice"
            seen.add(_place(found))
            if isinstance(found, h5py.Group):
                pending.append(found)
                continue
            told += _attribute_bytes(found)
            yield from _of_array(found, where)
            weights += math.prod(found.shape or ()) * found.dtype.itemsize
            if weights > most_bytes:
                yield f"unpacks to more than {most_bytes:,} bytes of weights, up to {where}"
    if told > _MOST_ATTRIBUTE_BYTES:
        yield f"has attributes of more than {_MOST_ATTRIBUTE_BYTES:,} bytes"


def _of_array(found: Any, where: str) -> Iterator[str]:
    if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "fiub":
        yield f"holds something else than numbers at {where}"
        return
    if found.is_virtual or found.external:
        yield f"takes {where} from another file"
    layout = found.id.get_create_plist()
    filters = {layout.get_filter(position)[0] for position in range(layout.get_nfilters())}
    if filters - _HARMLESS_FILTERS:
        yield f"needs another library to unpack {where}"
    if math.prod(found.chunks or ()) * found.dtype.itemsize > _MOST_CHUNK_BYTES:
        yield f"unpacks {where} in pieces of more than {_MOST_CHUNK_BYTES:,} bytes"


def _place(found: Any) -> int:
    return h5py.h5o.get_info(found.id).addr


def _attribute_bytes(found: Any) -> int:
    """Of all attributes of an object. Text of any length says its own only when it is read."""
    total = 0
    for position in range(h5py.h5a.get_num_attrs(found.id)):
        attribute = h5py.h5a.open(found.id, index=position)
        total += math.prod(attribute.shape) * attribute.get_type().get_size()
        if attribute.dtype.kind == "O" and total < _MOST_ATTRIBUTE_BYTES:
            value = found.attrs[attribute.name.decode("utf-8", "surrogateescape")]
            total += sum(map(len, [value] if isinstance(value, str | bytes) else map(str, value)))
    return total
