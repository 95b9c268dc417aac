"""The addresses under which MLflow finds this product's stores."""

from __future__ import annotations

ARTIFACTS_DESTINATION = "registry-tui://artifacts"
REGISTRY_STORE = "registry-tui://registry"
