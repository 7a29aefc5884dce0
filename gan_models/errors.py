"""The base of every error that a person can mend."""

import errno

# What a machine refuses for a reason that a person sets right, whoever asked it: space, rights, read-only disks.
_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


class AtelierError(Exception):
    """Raise for what a person got wrong or can put right; the message says what, where, and what to do.

    The command line prints it as one line. Whatever else is raised is a bug and keeps its traceback.
    """


def is_mendable(error: BaseException) -> bool:
    """Return whether a person can mend an error without reading code, so that its message is enough."""
    if isinstance(error, OSError) and not isinstance(error, AtelierError):
        return error.errno in _OF_THE_MACHINE
    return isinstance(error, AtelierError)
