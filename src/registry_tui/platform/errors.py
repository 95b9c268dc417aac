"""Errors of the platform itself, with messages for people."""

from __future__ import annotations


class PlatformError(Exception):
    """A part could not be started, stopped or queried; `action` is the remedy."""

    def __init__(self, message: str, *, action: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.action = action


class HomeUnusable(PlatformError):
    """The home folder cannot be written, or its file system is full."""


class Damaged(HomeUnusable, ValueError):
    """A file of the home has invalid content."""


class LimitTooLow(PlatformError):
    """A limit of the shell or the account is too low for the platform."""


class PortTaken(PlatformError):
    """Another program listens on a port of this platform."""


class BinaryMissing(PlatformError):
    """A program that a part runs is not installed."""


class ExtraMissing(BinaryMissing):
    """An optional part of the installation is missing: the platform's packages, or the demo's."""


class PartFailed(PlatformError):
    """A part did not start."""


class SupervisorUnavailable(PlatformError):
    """supervisord does not respond, or does not run."""


class StillRunning(PlatformError):
    """The command needs a stopped platform."""


class Busy(PlatformError):
    """Another command is starting or stopping this platform."""
