"""Fixtures that several modules of this folder share."""

from __future__ import annotations

import pytest

from support.platforms import Platform
from support.served import Served, two_versions


@pytest.fixture(scope="module")
def two(platform: Platform) -> Served:
    """Version 1 adds 10, version 2 adds 20; this is version 2."""
    return two_versions(platform)
