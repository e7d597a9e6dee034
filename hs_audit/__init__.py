"""Nightly audit of declared HS codes from the pictures of the goods: what other programs use of it.

Each name is loaded when it is first asked for, so that `import hs_audit` costs next to nothing.

    Reading codes      HSCode, parse_declared_code
    Reading pictures   decode, PictureSize, PictureLimits
    Asking a server    Client, Connection, Answer, ServedModel
    Judging            Judge, ClassTable, Thresholds, Evidence
    What may go wrong  AuditError and its kinds, see `hs.errors`

>>> from hs_audit import ClassTable, Evidence, Judge, Thresholds, parse_declared_code
>>> import numpy as np
>>> judge = Judge(ClassTable(("870829", "392690")), Thresholds(0.05, agrees_above=0.5, unknown_above=0.9))
>>> pictures = Evidence(images_total=1, images_readable=1, probabilities=np.array([[0.01, 0.99]]))
>>> judge(parse_declared_code("8708.29-0000"), pictures).reason
<Reason.DIFFERS: 'differs'>
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hs.card import Thresholds
    from hs.class_table import ClassTable
    from hs.codes import HSCode
    from hs.declared_codes import parse_declared_code
    from hs.errors import (
        AuditError,
        ContractBroken,
        EngineLost,
        Interrupted,
        NothingToRead,
        NotPublished,
        ServerUnreachable,
        StorageLost,
        UsageError,
    )
    from hs.pictures.decoding import PictureLimits, PictureSize, decode
    from hs.verdicts import Evidence, Judge
    from serving.client.client import Answer, Client
    from serving.client.connection import Connection
    from serving.contract import ServedModel

_HOME = {
    "Answer": "serving.client.client",
    "AuditError": "hs.errors",
    "ClassTable": "hs.class_table",
    "Client": "serving.client.client",
    "Connection": "serving.client.connection",
    "ContractBroken": "hs.errors",
    "EngineLost": "hs.errors",
    "Evidence": "hs.verdicts",
    "HSCode": "hs.codes",
    "Interrupted": "hs.errors",
    "Judge": "hs.verdicts",
    "NotPublished": "hs.errors",
    "NothingToRead": "hs.errors",
    "PictureLimits": "hs.pictures.decoding",
    "PictureSize": "hs.pictures.decoding",
    "ServedModel": "serving.contract",
    "ServerUnreachable": "hs.errors",
    "StorageLost": "hs.errors",
    "Thresholds": "hs.card",
    "UsageError": "hs.errors",
    "decode": "hs.pictures.decoding",
    "parse_declared_code": "hs.declared_codes",
}
__all__ = [
    "Answer",
    "AuditError",
    "ClassTable",
    "Client",
    "Connection",
    "ContractBroken",
    "EngineLost",
    "Evidence",
    "HSCode",
    "Interrupted",
    "Judge",
    "NotPublished",
    "NothingToRead",
    "PictureLimits",
    "PictureSize",
    "ServedModel",
    "ServerUnreachable",
    "StorageLost",
    "Thresholds",
    "UsageError",
    "decode",
    "parse_declared_code",
]


def __getattr__(name: str) -> object:
    """Loads what is asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """What there is, loaded or not."""
    return sorted({*globals(), *__all__})
