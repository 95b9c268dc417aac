"""The states of a Model Registry and of its NFS.

Standard library only, so that the first list shows before pydantic is imported.
"""

from __future__ import annotations

from enum import StrEnum


class RegistryStatus(StrEnum):
    """The documented states of a Model Registry."""

    PROVISION_STARTED = "provision:started"
    PROVISION_FAILED = "provision:failed"
    INSTALLATION_STARTED = "installation:started"
    INSTALLATION_FINISHED = "installation:finished"
    INSTALLATION_FAILED = "installation:failed"
    MODIFY_STARTED = "modify:started"
    MODIFY_FINISHED = "modify:finished"
    MODIFY_FAILED = "modify:failed"
    DEPROVISION_STARTED = "deprovision:started"
    DEPROVISION_FAILED = "deprovision:failed"

    @property
    def label(self) -> str:
        """The word people read: Available, Provisioning, Deleting, …"""
        return _LABELS[self]

    @property
    def live(self) -> bool:
        """Whether the registry responds: it was installed and is not being removed."""
        return self in (
            RegistryStatus.INSTALLATION_FINISHED,
            RegistryStatus.MODIFY_STARTED,
            RegistryStatus.MODIFY_FINISHED,
            RegistryStatus.MODIFY_FAILED,
        )


_LABELS = {
    RegistryStatus.PROVISION_STARTED: "Provisioning",
    RegistryStatus.PROVISION_FAILED: "Provisioning failed",
    RegistryStatus.INSTALLATION_STARTED: "Installing",
    RegistryStatus.INSTALLATION_FINISHED: "Available",
    RegistryStatus.INSTALLATION_FAILED: "Installation failed",
    RegistryStatus.MODIFY_STARTED: "Updating",
    RegistryStatus.MODIFY_FINISHED: "Available",
    RegistryStatus.MODIFY_FAILED: "Update failed",
    RegistryStatus.DEPROVISION_STARTED: "Deleting",
    RegistryStatus.DEPROVISION_FAILED: "Deletion failed",
}


class NfsState(StrEnum):
    """How a registry's existing NFS is on the service's machine."""

    MOUNTED = "mounted"
    NOT_MOUNTED = "not mounted"
    OTHER_VERSION = "mounted with another version"
    NOT_USABLE = "not usable"
    SILENT = "does not answer"

    @property
    def label(self) -> str:
        """The words for people: NFS not mounted, NFS does not answer, …"""
        return f"NFS {self.value}"
