"""The addresses under which MLflow finds this product's stores."""

from __future__ import annotations

ARTIFACTS_DESTINATION = "registry-tui://artifacts"
REGISTRY_STORE = "registry-tui://registry"
#: The variable that keeps the tracking URI with which a stock server was started, for the processes that it starts.
TRACKING_URI_AT_START = "REGISTRY_TUI_TRACKING_URI_AT_START"
