"""Artifacts worth opening: plots as PNG, tables as CSV, reports as JSON and text."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")

import mlflow
import numpy
import pandas
from matplotlib.figure import Figure
from sklearn.metrics import classification_report, confusion_matrix, roc_curve


def _log(figure: Figure, path: str) -> None:
    figure.tight_layout()
    mlflow.log_figure(figure, path, save_kwargs={"dpi": 110})


def curves(values: Mapping[str, Sequence[float]], path: str, x: str, y: str) -> None:
    """Curves over steps."""
    figure = Figure(figsize=(6.4, 4.0))
    axes = figure.subplots()
    for name, curve in values.items():
        axes.plot(range(1, len(curve) + 1), curve, label=name)
    axes.set(xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    axes.legend()
    _log(figure, path)


def predicted_against_true(true: Any, predicted: Any, path: str, unit: str) -> None:
    """Predictions over true values, with the residuals next to them."""
    figure = Figure(figsize=(8.0, 4.0))
    left, right = figure.subplots(1, 2)
    left.scatter(true, predicted, s=14, alpha=0.7)
    ends = [min(true), max(true)]
    left.plot(ends, ends, color="black", linewidth=1)
    left.set(xlabel=f"true {unit}", ylabel=f"predicted {unit}")
    right.hist(numpy.asarray(predicted) - numpy.asarray(true), bins=25)
    right.set(xlabel="residual", ylabel="count")
    _log(figure, path)


def bars(names: Sequence[str], values: Sequence[float], path: str, title: str) -> None:
    """Horizontal bars, the largest on top; also as CSV."""
    order = numpy.argsort(numpy.abs(values))
    figure = Figure(figsize=(6.4, max(2.5, 0.28 * len(order))))
    axes = figure.subplots()
    axes.barh([names[index] for index in order], [values[index] for index in order])
    axes.set_title(title)
    _log(figure, path)
    table = pandas.DataFrame({"feature": names, "value": values}).sort_values("value", key=abs, ascending=False)
    log_csv(table, path.removesuffix(".png") + ".csv")


def confusion(true: Any, predicted: Any, labels: Sequence[str]) -> None:
    """Confusion matrix as PNG and CSV, classification report as JSON and text."""
    matrix = confusion_matrix(true, predicted)
    figure = Figure(figsize=(4.8, 4.4))
    axes = figure.subplots()
    axes.imshow(matrix, cmap="Blues")
    axes.set(xticks=range(len(labels)), yticks=range(len(labels)), xlabel="predicted", ylabel="true")
    axes.set_xticklabels(labels, rotation=45, ha="right")
    axes.set_yticklabels(labels)
    for row, column in numpy.ndindex(matrix.shape):
        light = matrix[row, column] > matrix.max() / 2
        axes.text(column, row, matrix[row, column], ha="center", va="center", color="white" if light else "black")
    _log(figure, "evaluation/confusion_matrix.png")
    log_csv(
        pandas.DataFrame(matrix, index=pandas.Index(labels, name="true \\ predicted"), columns=list(labels)),
        "evaluation/confusion_matrix.csv",
        index=True,
    )
    report = classification_report(true, predicted, target_names=list(labels), output_dict=True, zero_division=0)
    mlflow.log_dict(report, "evaluation/classification_report.json")
    text = classification_report(true, predicted, target_names=list(labels), zero_division=0)
    mlflow.log_text(text, "evaluation/classification_report.txt")


def roc(true: Any, probability: Any) -> None:
    """The ROC curve, as PNG and CSV."""
    false_rate, true_rate, threshold = roc_curve(true, probability)
    figure = Figure(figsize=(4.8, 4.4))
    axes = figure.subplots()
    axes.plot(false_rate, true_rate)
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=1)
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    _log(figure, "evaluation/roc.png")
    table = {"false_positive_rate": false_rate, "true_positive_rate": true_rate, "threshold": threshold}
    log_csv(pandas.DataFrame(table), "evaluation/roc.csv")


def digits(images: Any, true: Any, predicted: Any, path: str) -> None:
    """A grid of small images with their predicted labels; mistakes in red."""
    columns, side = 8, images.shape[1] + 3
    rows = len(images) // columns
    mosaic = numpy.zeros((rows * side, columns * side))
    figure = Figure(figsize=(6.4, 3.6))
    axes = figure.subplots()
    for index, (image, truth, guess) in enumerate(zip(images, true, predicted, strict=True)):
        top, left = index // columns * side, index % columns * side
        mosaic[top : top + image.shape[0], left : left + image.shape[1]] = image
        axes.text(left + image.shape[1], top + 2, str(guess), fontsize=8, color="black" if truth == guess else "red")
    axes.imshow(mosaic, cmap="gray_r")
    axes.set_axis_off()
    _log(figure, path)


def log_csv(table: pandas.DataFrame, path: str, *, index: bool = False) -> None:
    """A table as CSV."""
    text = io.StringIO()
    table.to_csv(text, index=index)
    mlflow.log_text(text.getvalue(), path)
