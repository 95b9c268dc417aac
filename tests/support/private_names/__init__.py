"""Every name that the code uses of MLflow, Textual, DBOS and others without their promise, and why: the one list.

`tests/unit/test_private_names.py` compares it with the installed packages, and finds uses that are missing here
(`support/foreign_names.py`). Names that begin with an underscore are meant, and undocumented ones that are patched.
"""

from __future__ import annotations

from support.private_names.of_mlflow import MLFLOW
from support.private_names.of_others import OTHERS
from support.private_names.of_textual import TEXTUAL

ALL = (*MLFLOW, *TEXTUAL, *OTHERS)
