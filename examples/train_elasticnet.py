"""Trains an ElasticNet on the wine data that scikit-learn ships, and registers it: stock MLflow code, nothing of ours.

    eval "$(registry-tui env --project wine-quality)"
    python examples/train_elasticnet.py [ALPHA] [L1_RATIO]

The target is the alcohol content, from the twelve other measurements. Each call registers one more version of
`ElasticnetWineModel`; the call returns when its archive is stored.
"""

from __future__ import annotations

import sys

import mlflow
from mlflow.models import infer_signature
from sklearn.datasets import load_wine
from sklearn.linear_model import ElasticNet
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

MODEL_NAME = "ElasticnetWineModel"


def main(alpha: float = 0.05, l1_ratio: float = 0.5) -> None:
    """Trains, logs and registers one model."""
    wine = load_wine(as_frame=True).data
    features, target = wine.drop(columns="alcohol"), wine["alcohol"]
    train_x, test_x, train_y, test_y = train_test_split(features, target, random_state=40)

    mlflow.set_experiment("elasticnet")
    with mlflow.start_run():
        model = make_pipeline(StandardScaler(), ElasticNet(alpha=alpha, l1_ratio=l1_ratio, random_state=42))
        model.fit(train_x, train_y)
        predicted = model.predict(test_x)
        mlflow.log_params({"alpha": alpha, "l1_ratio": l1_ratio})
        mlflow.log_metrics(
            {
                "rmse": root_mean_squared_error(test_y, predicted),
                "mae": mean_absolute_error(test_y, predicted),
                "r2": r2_score(test_y, predicted),
            }
        )
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            registered_model_name=MODEL_NAME,
            signature=infer_signature(train_x, model.predict(train_x)),
            input_example=train_x.head(2),
        )
    print(f"{MODEL_NAME} version {logged.registered_model_version} is registered")


if __name__ == "__main__":
    main(*(float(argument) for argument in sys.argv[1:3]))
