"""What a user can do something about: one sentence, and the exit code that goes with it.

AuditError
├── UsageError          2    a flag, the configuration, a column
├── NotPublished        4    more dead letters or unscored findings than the limit, or the disk is full
├── ServerUnreachable   5    the model server is away, or its outage budget is spent
├── ContractBroken      6    the model is not what the audit needs, or is not there
├── NothingToRead       7    no input matched, or no file can be read
├── StorageLost         8    the storage is unreachable, or stayed away
├── EngineLost          8    the engine (Flink, Spark, …) cannot be reached, or lost the job
└── Interrupted         130  Ctrl-C or SIGTERM

Anything else that leaves the program is a bug and ends with 1.
"""

from typing import ClassVar


class AuditError(Exception):
    """A sentence for the user; subclasses say with which exit code the program ends."""

    exit_code: ClassVar[int] = 1


class UsageError(AuditError):
    """A flag, a configuration key, a file or a column is not what it should be."""

    exit_code = 2


class NotPublished(AuditError):
    """The run was stopped before publication because too much of it is missing or it cannot be written."""

    exit_code = 4


class ServerUnreachable(AuditError):
    """The model server does not answer, or stayed away for longer than its outage budget."""

    exit_code = 5


class ContractBroken(AuditError):
    """The served model is absent or does not keep the contract."""

    exit_code = 6


class NothingToRead(AuditError):
    """No input matched, or none of the files that matched can be read."""

    exit_code = 7


class StorageLost(AuditError):
    """A storage does not answer, or stayed away for longer than its outage budget."""

    exit_code = 8


class EngineLost(AuditError):
    """The engine that runs the job cannot be reached, or the job failed there."""

    exit_code = 8


class Interrupted(AuditError):
    """The user or the system asked the run to stop."""

    exit_code = 130
