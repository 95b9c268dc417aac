"""`RegistryClient`: the service's REST API as typed coroutines, one module for each kind of resource."""

from __future__ import annotations

from registry_tui.client.admission import Admission
from registry_tui.client.attached import Attached
from registry_tui.client.deployments import Deployments
from registry_tui.client.idbroker import IdBroker
from registry_tui.client.lineage import Lineage
from registry_tui.client.models import Models
from registry_tui.client.operations import Operations
from registry_tui.client.people import People
from registry_tui.client.places import Places
from registry_tui.client.promotion import Promotion
from registry_tui.client.ranger import Ranger
from registry_tui.client.registries import Registries
from registry_tui.client.search import Search
from registry_tui.client.sign_in import SignIn
from registry_tui.client.signing import Signing
from registry_tui.client.stream import Following
from registry_tui.client.tracking import Tracking
from registry_tui.client.webhooks import Webhooks


class RegistryClient(
    Places,
    Attached,
    People,
    SignIn,
    Registries,
    Ranger,
    IdBroker,
    Tracking,
    Models,
    Admission,
    Signing,
    Promotion,
    Deployments,
    Lineage,
    Search,
    Webhooks,
    Operations,
    Following,
):
    """A client of one service; see `transport.Transport` for creating one, and for the errors of every method."""
