"""Makes src/registry_tui/scanning/known_imports.txt from the libraries that are installed.

Classes that only keep their arguments, and functions that only rebuild values. Never anything that takes a
callable, a name to import, an address or a path: `functools.partial`, `operator`, `numpy.load`, `joblib.load`.
Where pickles make instances of a class without a call, `new` stands behind it: no call with arguments is known.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from sklearn.utils import all_estimators

TARGET = Path(__file__).parent.parent / "src/registry_tui/scanning/known_imports.txt"

#: Names with spaces in between, by module.
NAMED = {
    "builtins": "object set frozenset list dict int float complex bool str bytes bytearray slice range tuple",
    "copyreg": "_reconstructor",
    "_codecs": "encode",
    "collections": "OrderedDict defaultdict deque",
    "datetime": "datetime date time timedelta timezone",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "uuid": "UUID",
    "numpy": "ndarray dtype bool_ bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 "
    "complex64 complex128 str_ bytes_ datetime64 timedelta64 longlong ulonglong intc uintc",
    "numpy.core.multiarray": "_reconstruct scalar",
    "numpy._core.multiarray": "_reconstruct scalar",
    "numpy.core.numeric": "_frombuffer",
    "numpy._core.numeric": "_frombuffer",
    "numpy.random._pickle": "__randomstate_ctor __generator_ctor __bit_generator_ctor",
    "numpy.random._mt19937": "MT19937",
    "numpy.random._pcg64": "PCG64",
    "numpy.random.mtrand": "RandomState",
    "scipy.sparse._csr": "csr_matrix csr_array",
    "scipy.sparse._csc": "csc_matrix csc_array",
    "scipy.sparse._coo": "coo_matrix coo_array",
    "sklearn.tree._tree": "Tree",
    "numpy.random.bit_generator": "__pyx_unpickle_SeedSequence",
    "sklearn.neighbors._kd_tree": "newObj",
    "sklearn.neighbors._ball_tree": "newObj",
    "sklearn.metrics._dist_metrics": "newObj",
    "sklearn._loss.loss": "HalfSquaredError AbsoluteError HalfBinomialLoss HalfMultinomialLoss PinballLoss "
    "HalfPoissonLoss HalfGammaLoss HuberLoss ExponentialLoss",
    "sklearn._loss.link": "IdentityLink LogLink LogitLink HalfLogitLink MultinomialLogit Interval",
    "sklearn._loss._loss": "CyHalfSquaredError CyAbsoluteError CyPinballLoss CyHalfPoissonLoss CyHalfGammaLoss "
    "CyHalfBinomialLoss CyHalfMultinomialLoss CyHuberLoss CyExponentialLoss __pyx_unpickle_CyHalfMultinomialLoss",
    "sklearn.ensemble._hist_gradient_boosting.predictor": "TreePredictor",
    "sklearn.ensemble._hist_gradient_boosting.binning": "_BinMapper",
    "sklearn.preprocessing._label": "LabelEncoder LabelBinarizer",
    "sklearn.utils._bunch": "Bunch",
    "pandas.core.frame": "DataFrame",
    "pandas.core.series": "Series",
    "pandas.core.internals.managers": "BlockManager SingleBlockManager",
    "pandas._libs.internals": "_unpickle_block",
    "pandas.core.indexes.base": "_new_Index Index",
    "pandas.core.indexes.range": "RangeIndex",
}

#: Made without a call; some would open a path that they are called with.
MADE = {
    "numpy.random.bit_generator": "SeedSequence",
    "sklearn.neighbors._kd_tree": "KDTree KDTree64 KDTree32",
    "sklearn.neighbors._ball_tree": "BallTree BallTree64 BallTree32",
    "sklearn.metrics._dist_metrics": "EuclideanDistance64 EuclideanDistance32 ManhattanDistance64 ManhattanDistance32 "
    "ChebyshevDistance64 ChebyshevDistance32 MinkowskiDistance64 MinkowskiDistance32",
    "xgboost.core": "Booster",
    "xgboost.sklearn": "XGBModel XGBClassifier XGBRegressor XGBRanker XGBRFClassifier XGBRFRegressor",
    "lightgbm.basic": "Booster",
    "lightgbm.sklearn": "LGBMClassifier LGBMRegressor LGBMRanker LGBMModel",
}


def known() -> list[str]:
    """Every pair, in order."""
    pairs = {f"{module} {name}" for module, names in NAMED.items() for name in names.split()}
    made = {f"{module} {name}" for module, names in MADE.items() for name in names.split()}
    made |= {f"{kind.__module__} {kind.__name__}" for _, kind in all_estimators()}
    pairs |= {f"{pair} new" for pair in made - pairs}
    return sorted(pairs)


def text() -> str:
    """The whole file."""
    version = importlib.metadata.version("scikit-learn")
    return f"# Made by docs/known_imports.py; estimators of scikit-learn {version}.\n" + "\n".join(known()) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text())
