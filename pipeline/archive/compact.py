"""Thrift's compact protocol, in which the headers of Parquet's pages are written: reads a struct, writes a small one.

Source: Apache Thrift's compact protocol specification.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

_MAX_DEPTH = 8

Fields = dict[int, "int | Fields"]


class Stream(Protocol):
    """A file that is read: of this machine, or in pieces from elsewhere."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, fewer only at the end."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Moves."""

    def tell(self) -> int:
        """Where it stands."""


class _Kind(IntEnum):
    """Types of the compact protocol."""

    TRUE = 1
    FALSE = 2
    BYTE = 3
    I16 = 4
    I32 = 5
    I64 = 6
    DOUBLE = 7
    BINARY = 8
    LIST = 9
    SET = 10
    MAP = 11
    STRUCT = 12
    UUID = 13


_INTEGERS = (_Kind.I16, _Kind.I32, _Kind.I64)
_IN_THE_HEAD = (_Kind.TRUE, _Kind.FALSE)  # a field's type is its value; in a collection they take a byte each


class PageHeaderError(ValueError):
    """The footer cannot be read, or what stands where a page header should be is none."""


@dataclass(frozen=True)
class CompactReader:
    """Reads one struct of the compact protocol.

    Attributes:
        stream: stands at the first byte of the struct.
        start: that byte's offset, for messages.
        end: offset that the struct must not cross.
    """

    stream: Stream
    start: int
    end: int

    def struct(self, depth: int = 0) -> Fields:
        """The integers, booleans and structs of the struct, by number; the other fields are passed over."""
        if depth > _MAX_DEPTH:
            raise self._error("nested too deep")
        fields: Fields = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            kind = self._kind(head)
            if kind in _INTEGERS:
                fields[number] = self._integer()
            elif kind in _IN_THE_HEAD:
                fields[number] = int(kind is _Kind.TRUE)
            elif kind is _Kind.STRUCT:
                fields[number] = self.struct(depth + 1)
            else:
                self._pass(kind, depth)
        return fields

    def _pass(self, kind: _Kind, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise self._error("nested too deep")
        match kind:
            case _Kind.TRUE | _Kind.FALSE | _Kind.BYTE:
                self._advance(1)
            case _Kind.I16 | _Kind.I32 | _Kind.I64:
                self._varint()
            case _Kind.DOUBLE:
                self._advance(8)
            case _Kind.UUID:
                self._advance(16)
            case _Kind.BINARY:
                self._advance(self._varint())
            case _Kind.STRUCT:
                self.struct(depth + 1)
            case _Kind.LIST | _Kind.SET:
                head = self._byte()
                self._pass_all(self._varint() if head >> 4 == 15 else head >> 4, (head,), depth + 1)
            case _Kind.MAP:
                if size := self._varint():
                    head = self._byte()
                    self._pass_all(size, (head >> 4, head), depth + 1)

    def _pass_all(self, size: int, heads: tuple[int, ...], depth: int) -> None:
        kinds = [self._kind(head) for head in heads] if size else []
        for _ in range(size):
            for kind in kinds:
                self._pass(kind, depth)

    def _kind(self, head: int) -> _Kind:
        try:
            return _Kind(head & 0x0F)
        except ValueError:
            raise self._error(f"a field of type {head & 0x0F}") from None

    def _integer(self) -> int:
        """A zigzag number: 0, 1, 2, 3 stand for 0, -1, 1, -2."""
        number = self._varint()
        return (number >> 1) ^ -(number & 1)

    def _varint(self) -> int:
        number = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
        raise self._error("a number of more than ten bytes")

    def _byte(self) -> int:
        byte = self.stream.read(1) if self.stream.tell() < self.end else b""
        if not byte:
            raise self._error("it has no end")
        return byte[0]

    def _advance(self, count: int) -> None:
        if self.stream.tell() + count > self.end:
            raise self._error("it has no end")
        self.stream.seek(count, 1)

    def _error(self, what: str) -> PageHeaderError:
        return PageHeaderError(f"no page header at byte {self.start}: {what}")


def written(fields: Fields) -> bytes:
    """A struct of 32-bit integers, booleans and structs of these, by ascending number.

    >>> written({1: 3, 5: {1: True}}).hex()
    '15064c110000'
    """
    out, before = bytearray(), 0
    for number, value in fields.items():
        match value:
            case bool():
                kind, body = (_Kind.TRUE if value else _Kind.FALSE), b""
            case int():
                kind, body = _Kind.I32, varint(value << 1)
            case _:
                kind, body = _Kind.STRUCT, written(value)
        out += bytes([(number - before) << 4 | kind]) + body
        before = number
    return bytes(out) + b"\0"


def varint(number: int) -> bytes:
    """A number that is not negative, seven bits a byte, the lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
