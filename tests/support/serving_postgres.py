"""`python tests/support/serving_postgres.py COMMAND …` runs a command with a PostgreSQL server for tests of rules."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.databases import POSTGRESQL
from support.postgres import running_postgres

if __name__ == "__main__":
    with running_postgres() as server:
        sys.exit(subprocess.run(sys.argv[1:], env={**os.environ, POSTGRESQL: server.url()}, check=False).returncode)
