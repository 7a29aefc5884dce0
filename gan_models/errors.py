"""The base of every error that a person can mend."""


class AtelierError(Exception):
    """Raise for what a person got wrong or can put right; the message says what, where, and what to do.

    The command line prints it as one line. Whatever else is raised is a bug and keeps its traceback.
    """
