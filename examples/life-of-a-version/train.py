"""Measures the model of `model.py`, logs it with its data and registers it: stock MLflow code, nothing of ours.

eval "$(registry-tui env --project sums)"
python train.py
"""

from __future__ import annotations

import mlflow
import pandas
from model import Sum

rows = pandas.DataFrame({"a": [1.0, 2.0, 3.0], "b": [2.0, 3.0, 5.0]})
wanted = rows["a"] + rows["b"]

mlflow.set_experiment("sums")
with mlflow.start_run():
    found = pandas.Series(Sum().predict(None, rows))
    mlflow.log_input(mlflow.data.from_pandas(rows, name="pairs"), context="training")
    mlflow.log_metric("rmse", float(((found - wanted) ** 2).mean() ** 0.5))
    made = mlflow.pyfunc.log_model(
        name="model",
        python_model="model.py",
        pip_requirements=["mlflow", "pandas"],
        input_example=rows,
        registered_model_name="Sum",
    )
print(f"Sum version {made.registered_model_version} is registered")
