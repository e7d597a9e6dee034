"""What to do about each status code of a model server. A pure table; the client acts on it."""

from enum import Enum

from grpc import StatusCode


class Action(Enum):
    """What a client does after a failed request."""

    WAIT = "wait inside the outage budget"
    AGAIN = "at most two more tries"
    POLL = "wait for the version at most a minute"
    HALVE = "send half as many pictures"
    PROBE = "try a known-good picture"
    GIVE_UP = "the model, the server or the settings are wrong"


_ACTION_OF = {
    StatusCode.UNAVAILABLE: Action.WAIT,
    StatusCode.CANCELLED: Action.WAIT,  # so a server that stops ends what it had begun
    StatusCode.DEADLINE_EXCEEDED: Action.AGAIN,  # not for long: the server computes what we no longer wait for
    StatusCode.INTERNAL: Action.AGAIN,
    StatusCode.UNKNOWN: Action.AGAIN,
    StatusCode.ABORTED: Action.AGAIN,
    StatusCode.DATA_LOSS: Action.AGAIN,
    StatusCode.NOT_FOUND: Action.POLL,  # so it says while a version is being loaded, too
    StatusCode.INVALID_ARGUMENT: Action.PROBE,  # ours or not: one bad row fails all requests merged with it
    StatusCode.OUT_OF_RANGE: Action.PROBE,
    StatusCode.FAILED_PRECONDITION: Action.GIVE_UP,
    StatusCode.UNIMPLEMENTED: Action.GIVE_UP,
    StatusCode.PERMISSION_DENIED: Action.GIVE_UP,
    StatusCode.UNAUTHENTICATED: Action.GIVE_UP,
    StatusCode.ALREADY_EXISTS: Action.GIVE_UP,  # makes no sense here, but every code has its rule
}


def action_for(code: StatusCode, details: str) -> Action:
    """What to do about a failed request.

    RESOURCE_EXHAUSTED has three meanings that only its message tells apart: the GPU's memory, a full queue or thread
    pool, or a message larger than the server takes, which no wait will mend.

    >>> action_for(StatusCode.RESOURCE_EXHAUSTED, "OOM when allocating tensor with shape[64,224,224,64]")
    <Action.HALVE: 'send half as many pictures'>
    """
    if code is not StatusCode.RESOURCE_EXHAUSTED:
        return _ACTION_OF[code]
    text = details.lower()
    if "larger than max" in text:
        return Action.GIVE_UP
    return Action.HALVE if "oom" in text or "out of memory" in text else Action.WAIT
