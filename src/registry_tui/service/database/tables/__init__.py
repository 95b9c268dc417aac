"""The service's tables, by subject; importing one registers all of them."""

from registry_tui.service.database.tables.admission import AdmissionExceptionRow, AdmissionRulesRow
from registry_tui.service.database.tables.base import Base, UtcDateTime, new_id, now
from registry_tui.service.database.tables.boms import VersionBomRow, VersionComponentRow
from registry_tui.service.database.tables.canaries import CanaryRow
from registry_tui.service.database.tables.cards import ModelCardRow
from registry_tui.service.database.tables.operations import (
    EventChainRow,
    EventRow,
    IdempotencyRow,
    InstallationRow,
    LogLineRow,
    WorkflowRow,
)
from registry_tui.service.database.tables.people import UserRow, UserSubjectRow, UserTokenRow
from registry_tui.service.database.tables.places import (
    AttachedServerRow,
    CollaboratorRow,
    EnvironmentBackendRow,
    EnvironmentRoleRow,
    EnvironmentRow,
    EnvironmentStoreRow,
    GroupMachineUserRow,
    GroupMemberRow,
    GroupRow,
    ProjectRow,
    RegistryRow,
    RegistryStoreKeyRow,
    WorkspaceRow,
    WorkspaceSyncRow,
)
from registry_tui.service.database.tables.profiles import VersionProfileRow
from registry_tui.service.database.tables.promotion import (
    ApprovalRow,
    PromotionRulesRow,
    StageChangeRow,
    VersionCopyRow,
)
from registry_tui.service.database.tables.ranger import IdBrokerRow, RangerPolicyRow, RangerRoleRow, RangerSourceRow
from registry_tui.service.database.tables.scans import VersionScanRow
from registry_tui.service.database.tables.serving import ApiKeyRow, DeploymentRow, RevisionRow, ServedRow
from registry_tui.service.database.tables.signatures import SigningKeyRow, VersionSignatureRow
from registry_tui.service.database.tables.webhooks import WebhookDeliveryRow, WebhookRow

__all__ = [
    "AdmissionExceptionRow",
    "AdmissionRulesRow",
    "ApiKeyRow",
    "ApprovalRow",
    "AttachedServerRow",
    "Base",
    "CanaryRow",
    "CollaboratorRow",
    "DeploymentRow",
    "EnvironmentBackendRow",
    "EnvironmentRoleRow",
    "EnvironmentRow",
    "EnvironmentStoreRow",
    "EventChainRow",
    "EventRow",
    "GroupMachineUserRow",
    "GroupMemberRow",
    "GroupRow",
    "IdBrokerRow",
    "IdempotencyRow",
    "InstallationRow",
    "LogLineRow",
    "ModelCardRow",
    "ProjectRow",
    "PromotionRulesRow",
    "RangerPolicyRow",
    "RangerRoleRow",
    "RangerSourceRow",
    "RegistryRow",
    "RegistryStoreKeyRow",
    "RevisionRow",
    "ServedRow",
    "SigningKeyRow",
    "StageChangeRow",
    "UserRow",
    "UserSubjectRow",
    "UserTokenRow",
    "UtcDateTime",
    "VersionBomRow",
    "VersionComponentRow",
    "VersionCopyRow",
    "VersionProfileRow",
    "VersionScanRow",
    "VersionSignatureRow",
    "WebhookDeliveryRow",
    "WebhookRow",
    "WorkflowRow",
    "WorkspaceRow",
    "WorkspaceSyncRow",
    "new_id",
    "now",
]
