"""The platform's health as the service sees it, by probing each part."""

from __future__ import annotations

from registry_tui.contracts.permissions import Action
from registry_tui.platform import probes
from registry_tui.platform.errors import PlatformError
from registry_tui.schemas.operations import PlatformStatus
from registry_tui.service.core import permissions
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.errors import PartUnavailable


def platform_status(service: Service, principal: Principal) -> PlatformStatus:
    """Every part: supervisord's state of it, and the result of a probe. Raises NotPermitted, PartUnavailable."""
    permissions.require(principal, Action.STATUS_SEE)
    try:
        return probes.platform_status(service.home)
    except PlatformError as error:
        raise PartUnavailable(error.message, action=error.action) from error
