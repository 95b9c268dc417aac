"""`python -m registry_tui.demo.training PROJECT [VERSION…]`: trains, logs and registers.

Each VERSION is a JSON object with the arguments of `tracking.register`. Progress goes to stdout, a JSON object a line.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings


def main(project: str, *versions: str) -> None:
    """Trains one project's models and registers the wanted versions."""
    # MLflow and scikit-learn; only after warnings are turned off.
    from registry_tui.demo.training import sweeps, tracking

    sweeps.run(project)
    for version in versions:
        tracking.register(**json.loads(version))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    main(*sys.argv[1:])
