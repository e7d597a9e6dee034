"""A request that cannot be answered, with the status code and message that TF Serving gives."""

from grpc import StatusCode

_CODES = {code.value[0]: code for code in StatusCode}


class Refusal(Exception):
    """Ends a request.

    Attributes:
        code: gRPC's status code.
        message: for the caller.
    """

    def __init__(self, code: StatusCode, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def invalid(message: str) -> Refusal:
    """INVALID_ARGUMENT."""
    return Refusal(StatusCode.INVALID_ARGUMENT, message)


def refusal_by_number(code: int, message: str) -> Refusal:
    """A refusal by the number of its code, which TensorFlow and gRPC share."""
    return Refusal(_CODES.get(code, StatusCode.UNKNOWN), message)
