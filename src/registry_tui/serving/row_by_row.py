"""Which models predict each row independently of the other rows.

A model counts as one if all its parts are in the lists below. Anything else may use the whole table, as a transformer
that centres on the mean of its input does: such models predict one request at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

#: scikit-learn's classes, all of whose methods in METHODS predict row by row. Those that fit, or compare rows with one
#: another or with the training data (neighbours, NMF, Gaussian processes), are left out.
_ESTIMATORS = """
    Pipeline ColumnTransformer FeatureUnion TransformedTargetRegressor FrozenEstimator GridSearchCV
    RandomizedSearchCV HalvingGridSearchCV HalvingRandomSearchCV DecisionTreeClassifier DecisionTreeRegressor
    ExtraTreeClassifier ExtraTreeRegressor Tree RandomForestClassifier RandomForestRegressor ExtraTreesClassifier
    ExtraTreesRegressor IsolationForest GradientBoostingClassifier GradientBoostingRegressor
    HistGradientBoostingClassifier HistGradientBoostingRegressor TreePredictor _BinMapper AdaBoostClassifier
    AdaBoostRegressor BaggingClassifier BaggingRegressor VotingClassifier VotingRegressor StackingClassifier
    StackingRegressor OneVsRestClassifier OneVsOneClassifier MultiOutputClassifier MultiOutputRegressor
    _ConstantPredictor CalibratedClassifierCV _CalibratedClassifier _SigmoidCalibration IsotonicRegression
    LinearRegression Ridge RidgeCV Lasso LassoCV LassoLars LassoLarsCV LassoLarsIC Lars LarsCV ElasticNet
    ElasticNetCV BayesianRidge ARDRegression HuberRegressor TheilSenRegressor RANSACRegressor PoissonRegressor
    GammaRegressor TweedieRegressor QuantileRegressor LogisticRegression LogisticRegressionCV RidgeClassifier
    RidgeClassifierCV SGDClassifier SGDRegressor Perceptron PassiveAggressiveClassifier PassiveAggressiveRegressor
    LinearSVC LinearSVR SVC SVR NuSVC NuSVR MLPClassifier MLPRegressor LinearDiscriminantAnalysis
    QuadraticDiscriminantAnalysis GaussianNB MultinomialNB ComplementNB BernoulliNB CategoricalNB KMeans
    MiniBatchKMeans DummyClassifier DummyRegressor StandardScaler MinMaxScaler MaxAbsScaler RobustScaler Normalizer
    Binarizer KBinsDiscretizer PolynomialFeatures SplineTransformer QuantileTransformer PowerTransformer
    OneHotEncoder OrdinalEncoder TargetEncoder LabelEncoder LabelBinarizer SimpleImputer MissingIndicator
    FunctionTransformer CountVectorizer TfidfVectorizer TfidfTransformer HashingVectorizer FeatureHasher
    DictVectorizer PCA TruncatedSVD VarianceThreshold SelectKBest SelectPercentile SelectFpr SelectFdr SelectFwe
    SelectFromModel RFE RFECV SequentialFeatureSelector
"""
ESTIMATORS = frozenset(_ESTIMATORS.split())
#: Classes of XGBoost and LightGBM; boosters are checked more closely, see `_refusal`.
_BOOSTERS = """
    XGBClassifier XGBRegressor XGBRanker XGBRFClassifier XGBRFRegressor LGBMClassifier LGBMRegressor LGBMRanker
    Booster XGBoostLabelEncoder _LGBMLabelEncoder LabelEncoder
"""
BOOSTERS = frozenset(_BOOSTERS.split())
#: Methods of the above that predict row by row; a flavour may name another one to predict with.
METHODS = frozenset(
    ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform", "score_samples")
)
#: The attribute of each flavour's wrapper with the logged model.
FLAVOURS = {"mlflow.sklearn": "sklearn_model", "mlflow.xgboost": "xgb_model", "mlflow.lightgbm": "lgb_model"}


def name_of(model: PyFuncModel) -> str:
    """The class of the model that was logged, or its flavour."""
    raw = _raw(model)
    return str(model.loader_module) if raw is None else type(raw).__name__


def why_not(model: PyFuncModel) -> str | None:
    """Why this model is not known to predict row by row; None when it is."""
    if model.loader_module not in FLAVOURS:
        return f"models of the flavour {model.loader_module} are not known to answer row by row"
    raw = _raw(model)
    if raw is None:
        return "the logged model cannot be looked into"
    flavour = (model.metadata.flavors or {}).get("python_function", {})
    if (method := flavour.get("predict_fn", "predict")) not in METHODS:
        return f"{type(raw).__name__}.{method} is not known to answer row by row"
    for part in _parts(raw, set()):
        if (refusal := _refusal(part)) is not None:
            return refusal
    return None


def _raw(model: PyFuncModel) -> Any:
    implementation = getattr(model, "_model_impl", None)
    return getattr(implementation, FLAVOURS.get(str(model.loader_module), ""), None)


def _parts(value: Any, seen: set[int]) -> Iterator[Any]:
    """Everything in a model that computes: estimators, and functions passed to it."""
    if isinstance(value, type) or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, dict):
        for each in value.values():
            yield from _parts(each, seen)
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from _parts(each, seen)
    elif getattr(getattr(value, "dtype", None), "kind", "") == "O":
        for each in value.ravel() if hasattr(value, "ravel") else value:
            yield from _parts(each, seen)
    elif callable(value) or any(hasattr(value, method) for method in ("predict", "predict_proba", "transform")):
        yield value
        for each in getattr(value, "__dict__", {}).values():
            yield from _parts(each, seen)


def _refusal(part: Any) -> str | None:
    """Why one part of a model is not known to predict row by row; None when it is."""
    kind = type(part)
    name, module = kind.__name__, kind.__module__.partition(".")[0]
    computes = any(hasattr(part, method) for method in ("predict", "predict_proba", "transform"))
    unknown = f"{name if computes else getattr(part, '__name__', name)} is not known to answer row by row"
    if not computes:
        # A function, or an object that is called: scikit-learn's own losses and scores are not used to predict.
        return None if str(getattr(part, "__module__", "")).partition(".")[0] == "sklearn" else unknown
    if kind.__module__.startswith("sklearn._loss."):
        return None
    if module == "sklearn" and name in ESTIMATORS:
        if name == "FunctionTransformer" and part.func is not None:
            return unknown
        if name == "DummyClassifier" and part.strategy in ("stratified", "uniform"):
            return f"{name} draws its answers at random"
        return None
    if module in ("xgboost", "lightgbm") and name in BOOSTERS:
        if name == "Booster" and hasattr(part, "save_config"):
            kind_of = json.loads(part.save_config())["learner"]["gradient_booster"]["name"]
            return None if kind_of in ("gbtree", "dart") else f"a booster of the kind {kind_of} is not made of trees"
        return None
    return unknown
