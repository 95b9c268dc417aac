"""The demo's parameter sweeps: real models on scikit-learn's data sets, with the curves of their training."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import mlflow
import numpy
import pandas
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.metrics import accuracy_score, f1_score, log_loss, r2_score, roc_auc_score, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from registry_tui.demo.training import plots
from registry_tui.demo.training.tracking import Data, Trained, log_sweep

SEED = 7


def _data(name: str, frame: pandas.DataFrame, target: str, *, stratify: bool = False) -> Data:
    # Whole numbers become floats: a signature with integers would not allow missing values later.
    frame = frame.astype("float64").rename(columns=lambda column: str(column).replace(" ", "_"))
    train, validation = train_test_split(
        frame, test_size=0.3, random_state=SEED, stratify=frame[target] if stratify else None
    )
    return Data(name, train, validation, target)


def _split(data: Data) -> tuple[pandas.DataFrame, Any, pandas.DataFrame, Any]:
    return (
        data.features,
        data.train[data.target],
        data.validation.drop(columns=data.target),
        data.validation[data.target],
    )


def _notes(title: str, lines: Sequence[str]) -> None:
    mlflow.log_text("\n".join([f"# {title}", "", *(f"- {line}" for line in lines), ""]), "notes.md")


def _chain(scaler: StandardScaler, model: Any) -> Pipeline:
    """Scaler and model, both fitted already, as one model."""
    return make_pipeline(scaler, model)


def wine_alcohol() -> None:
    """Elastic net by stochastic gradient descent, epoch by epoch."""
    data = _data("wine", load_wine(as_frame=True).frame.drop(columns="target"), "alcohol")
    train_x, train_y, test_x, test_y = _split(data)
    scaler = StandardScaler().set_output(transform="pandas").fit(train_x)
    scaled, scaled_test = scaler.transform(train_x), scaler.transform(test_x)

    def train(alpha: float, l1_ratio: float) -> Trained:
        model = SGDRegressor(
            penalty="elasticnet",
            alpha=alpha,
            l1_ratio=l1_ratio,
            eta0=0.002,
            learning_rate="constant",
            random_state=SEED,
        )
        curves: dict[str, list[float]] = {"train_rmse": [], "validation_rmse": []}
        for _ in range(60):
            model.partial_fit(scaled, train_y)
            curves["train_rmse"].append(root_mean_squared_error(train_y, model.predict(scaled)))
            curves["validation_rmse"].append(root_mean_squared_error(test_y, model.predict(scaled_test)))
        predicted = model.predict(scaled_test)
        rmse = curves["validation_rmse"][-1]

        def artifacts(detailed: bool) -> None:
            plots.curves(curves, "plots/learning_curve.png", "epoch", "RMSE, % vol")
            if not detailed:
                return
            plots.predicted_against_true(test_y, predicted, "plots/predictions.png", "% vol")
            plots.bars(list(train_x.columns), list(model.coef_), "plots/coefficients.png", "coefficients")
            _notes(
                f"Elastic net, alpha {alpha:g}, L1 ratio {l1_ratio:g}",
                (
                    f"validation RMSE {rmse:.4f} % vol after {len(curves['train_rmse'])} epochs",
                    f"{int(numpy.sum(numpy.abs(model.coef_) < 1e-3))} of {len(model.coef_)} coefficients are zero",
                ),
            )

        return Trained(
            key=f"elasticnet-a{alpha:g}-l{l1_ratio:g}",
            model=_chain(scaler, model),
            params={"alpha": alpha, "l1_ratio": l1_ratio, "epochs": 60, "eta0": 0.002},
            curves=curves,
            metrics={"rmse": rmse, "r2": r2_score(test_y, predicted)},
            score=-rmse,
            tags={"algorithm": "elastic net", "dataset": "wine"},
            artifacts=artifacts,
        )

    grid = list(product((0.001, 0.01, 0.1, 0.5), (0.1, 0.5, 0.9)))
    log_sweep("alcohol-elasticnet", "Alcohol content by elastic net.", data, [train(*each) for each in grid])


def wine_cultivar() -> None:
    """Logistic regression of the three cultivars."""
    wine = load_wine(as_frame=True)
    data = _data("wine", wine.frame, "target", stratify=True)
    labels = [str(name) for name in wine.target_names]
    log_sweep(
        "cultivar-classifier",
        "Which cultivar a wine is from.",
        data,
        [_logistic(data, labels, alpha, epochs=30) for alpha in (1.0, 0.1, 0.001)],
    )


def _logistic(data: Data, labels: Sequence[str], alpha: float, epochs: int) -> Trained:
    train_x, train_y, test_x, test_y = _split(data)
    scaler = StandardScaler().set_output(transform="pandas").fit(train_x)
    scaled, scaled_test = scaler.transform(train_x), scaler.transform(test_x)
    model = SGDClassifier(loss="log_loss", alpha=alpha, random_state=SEED)
    curves: dict[str, list[float]] = {"train_log_loss": [], "validation_log_loss": [], "validation_accuracy": []}
    for _ in range(epochs):
        model.partial_fit(scaled, train_y, classes=numpy.unique(train_y))
        curves["train_log_loss"].append(log_loss(train_y, model.predict_proba(scaled)))
        curves["validation_log_loss"].append(log_loss(test_y, model.predict_proba(scaled_test)))
        curves["validation_accuracy"].append(accuracy_score(test_y, model.predict(scaled_test)))
    predicted = model.predict(scaled_test)

    def artifacts(detailed: bool) -> None:
        plots.curves(curves, "plots/learning_curve.png", "epoch", "log loss, accuracy")
        if not detailed:
            return
        plots.confusion(test_y, predicted, labels)

    accuracy = curves["validation_accuracy"][-1]
    return Trained(
        key=f"logistic-a{alpha:g}",
        model=_chain(scaler, model),
        params={"alpha": alpha, "epochs": epochs, "loss": "log_loss"},
        curves=curves,
        metrics={"accuracy": accuracy, "f1_macro": f1_score(test_y, predicted, average="macro")},
        score=accuracy - curves["validation_log_loss"][-1] / 1000,
        tags={"algorithm": "logistic regression", "dataset": data.name},
        artifacts=artifacts,
    )


def diabetes() -> None:
    """Gradient boosting, tree by tree."""
    data = _data("diabetes", load_diabetes(as_frame=True, scaled=False).frame, "target")
    train_x, train_y, test_x, test_y = _split(data)

    def train(rate: float, depth: int) -> Trained:
        model = GradientBoostingRegressor(
            learning_rate=rate, max_depth=depth, n_estimators=120, subsample=0.8, random_state=SEED
        ).fit(train_x, train_y)
        curves = {
            "train_rmse": [root_mean_squared_error(train_y, each) for each in model.staged_predict(train_x)],
            "validation_rmse": [root_mean_squared_error(test_y, each) for each in model.staged_predict(test_x)],
        }
        predicted = model.predict(test_x)
        rmse = curves["validation_rmse"][-1]

        def artifacts(detailed: bool) -> None:
            plots.curves(curves, "plots/boosting_curve.png", "trees", "RMSE")
            if not detailed:
                return
            plots.predicted_against_true(test_y, predicted, "plots/predictions.png", "progression")
            plots.bars(
                list(train_x.columns), list(model.feature_importances_), "plots/importances.png", "feature importances"
            )
            _notes(
                f"Gradient boosting, learning rate {rate:g}, depth {depth}",
                (
                    f"validation RMSE {rmse:.2f}; lowest {min(curves['validation_rmse']):.2f} after "
                    f"{int(numpy.argmin(curves['validation_rmse'])) + 1} trees",
                ),
            )

        return Trained(
            key=f"boosting-r{rate:g}-d{depth}",
            model=model,
            params={"learning_rate": rate, "max_depth": depth, "n_estimators": 120, "subsample": 0.8},
            curves=curves,
            metrics={"rmse": rmse, "r2": r2_score(test_y, predicted), "best_rmse": min(curves["validation_rmse"])},
            score=-rmse,
            tags={"algorithm": "gradient boosting", "dataset": "diabetes"},
            artifacts=artifacts,
        )

    grid = list(product((0.2, 0.1, 0.05, 0.02), (2, 3)))
    log_sweep("gradient-boosting", "Progression by boosted trees.", data, [train(*each) for each in grid])


def tumours() -> None:
    """Growing random forests, nested below one run with the whole sweep."""
    cancer = load_breast_cancer(as_frame=True)
    data = _data("breast-cancer", cancer.frame, "target", stratify=True)
    labels = [str(name) for name in cancer.target_names]
    train_x, train_y, test_x, test_y = _split(data)
    parent = "forest-sweep"

    def train(trees: int, depth: int | None) -> Trained:
        model = RandomForestClassifier(n_estimators=1, max_depth=depth, warm_start=True, random_state=SEED)
        curves: dict[str, list[float]] = {"validation_auc": [], "validation_log_loss": []}
        for count in range(5, trees + 1, 5):
            model.set_params(n_estimators=count).fit(train_x, train_y)
            probability = model.predict_proba(test_x)
            curves["validation_auc"].append(roc_auc_score(test_y, probability[:, 1]))
            curves["validation_log_loss"].append(log_loss(test_y, probability))
        probability, predicted = model.predict_proba(test_x)[:, 1], model.predict(test_x)
        auc = curves["validation_auc"][-1]

        def artifacts(detailed: bool) -> None:
            plots.curves(curves, "plots/growth.png", "five trees each", "AUC, log loss")
            if not detailed:
                return
            plots.confusion(test_y, predicted, labels)
            plots.roc(test_y, probability)
            plots.bars(
                list(train_x.columns), list(model.feature_importances_), "plots/importances.png", "feature importances"
            )

        return Trained(
            key=f"forest-t{trees}-d{depth or 'any'}",
            model=model,
            params={"n_estimators": trees, "max_depth": depth, "criterion": "gini"},
            curves=curves,
            metrics={
                "auc": auc,
                "accuracy": accuracy_score(test_y, predicted),
                "f1": f1_score(test_y, predicted),
            },
            score=auc,
            tags={"algorithm": "random forest", "dataset": "breast cancer"},
            artifacts=artifacts,
            parent=parent,
        )

    children = [train(*each) for each in product((25, 50, 100), (2, 4, None))]
    log_sweep("forest-sweep", "Malignant or benign, by random forests.", data, [_summary(parent, children), *children])


def _summary(key: str, children: Sequence[Trained]) -> Trained:
    best = max(children, key=lambda each: each.score)

    def artifacts(_: bool) -> None:
        rows = [{"run": each.key, **each.params, **each.metrics} for each in children]
        plots.log_csv(pandas.DataFrame(rows), "sweep.csv")
        _notes("Sweep", (f"{len(children)} forests", f"best: {best.key}, AUC {best.metrics['auc']:.4f}"))

    return Trained(
        key=key,
        model=None,
        params={"forests": len(children)},
        curves={},
        metrics=best.metrics,
        score=best.score,
        tags={"algorithm": "random forest", "best": best.key},
        artifacts=artifacts,
    )


def digits() -> None:
    """Perceptrons, epoch by epoch."""
    bunch = load_digits(as_frame=True)
    data = _data("digits", bunch.frame, "target", stratify=True)
    train_x, train_y, test_x, test_y = _split(data)

    def train(hidden: int, rate: float) -> Trained:
        scaler = StandardScaler().set_output(transform="pandas").fit(train_x)
        scaled, scaled_test = scaler.transform(train_x), scaler.transform(test_x)
        model = MLPClassifier((hidden,), learning_rate_init=rate, batch_size=128, random_state=SEED)
        curves: dict[str, list[float]] = {"loss": [], "train_accuracy": [], "validation_accuracy": []}
        for _ in range(25):
            model.partial_fit(scaled, train_y, classes=numpy.unique(train_y))
            curves["loss"].append(model.loss_)
            curves["train_accuracy"].append(accuracy_score(train_y, model.predict(scaled)))
            curves["validation_accuracy"].append(accuracy_score(test_y, model.predict(scaled_test)))
        predicted = model.predict(scaled_test)
        accuracy = curves["validation_accuracy"][-1]

        def artifacts(detailed: bool) -> None:
            plots.curves(curves, "plots/learning_curve.png", "epoch", "loss, accuracy")
            if not detailed:
                return
            plots.confusion(test_y, predicted, [str(digit) for digit in range(10)])
            images = test_x.to_numpy()[:32].reshape(-1, 8, 8)
            plots.digits(images, test_y.to_numpy()[:32].astype(int), predicted[:32].astype(int), "samples.png")

        return Trained(
            key=f"perceptron-h{hidden}-r{rate:g}",
            model=_chain(scaler, model),
            params={"hidden_units": hidden, "learning_rate": rate, "batch_size": 128, "epochs": 25},
            curves=curves,
            metrics={"accuracy": accuracy, "f1_macro": f1_score(test_y, predicted, average="macro")},
            score=accuracy,
            tags={"algorithm": "perceptron", "dataset": "digits"},
            artifacts=artifacts,
        )

    grid = list(product((16, 32, 64), (0.001, 0.003, 0.01)))
    log_sweep("perceptron", "Digits by multi-layer perceptrons.", data, [train(*each) for each in grid])


#: The sweeps of each project.
SWEEPS: dict[str, tuple[Callable[[], None], ...]] = {
    "wine-quality": (wine_alcohol, wine_cultivar),
    "diabetes-progression": (diabetes,),
    "tumour-screening": (tumours,),
    "digit-recognition": (digits,),
}


def run(project: str) -> None:
    """Trains and logs everything of one project."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for sweep in SWEEPS[project]:
            sweep()
