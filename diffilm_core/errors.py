"""The one exception that the library raises for what a user can put right."""

from __future__ import annotations


class DiffilmError(ValueError):
    """Bad input. The message is one line: what was got, what was expected, what to do.

    The command prints it and exits with status 2; the nodes raise it with the same words.
    """


class NotFinite(DiffilmError):
    """A network gave NaN or infinity. Another seed may not."""


class Cancelled(Exception):
    """Raised by a progress callback to stop a run; what is finished stays on disk."""
