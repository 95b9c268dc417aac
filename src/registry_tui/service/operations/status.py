"""The platform's health as the service sees it: what each part does when it is really asked."""

from __future__ import annotations

from registry_tui.platform import probes
from registry_tui.platform.errors import PlatformError
from registry_tui.schemas.operations import PlatformStatus
from registry_tui.service.core.context import Service
from registry_tui.service.errors import PartUnavailable


def platform_status(service: Service) -> PlatformStatus:
    """Every part: supervisord's state of it, and what a probe found. Raises PartUnavailable."""
    try:
        return probes.platform_status(service.home)
    except PlatformError as error:
        raise PartUnavailable(error.message, action=error.action) from error
