"""Models of scikit-learn and XGBoost, trained here on the data sets inside scikit-learn and exported to ONNX.

Every export comes with inputs and with the library's own answers to them. Features are cut to float32 before the
library sees them, since that is all an ONNX tree model sees; regression targets have unit variance, so that one
absolute tolerance is fair to all. Training and export happen once per test session, whatever the number of servers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import xgboost
from onnxmltools.convert import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as XGBoostFloat
from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost as xgboost_converter
from skl2onnx import convert_sklearn, to_onnx, update_registered_converter
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
from sklearn import datasets
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, scale

ZipMap = bool | str  # skl2onnx: True, False or "columns"
Data = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Classifier:
    """An exported classifier; `probabilities` has one column per class, in the order of `classes`."""

    onnx: bytes
    inputs: list[np.ndarray]
    classes: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray

    def rows(self, count: int) -> Classifier:
        """The same model with the first rows of the data only."""
        inputs = [array[:count] for array in self.inputs]
        return Classifier(self.onnx, inputs, self.classes, self.labels[:count], self.probabilities[:count])


@dataclass(frozen=True)
class Regressor:
    """An exported regressor with the library's predictions, [rows, 1]."""

    onnx: bytes
    inputs: list[np.ndarray]
    values: np.ndarray


# Data


def iris_species() -> Data:
    """Iris with the names of the species as labels."""
    bunch = datasets.load_iris()
    return bunch.data.astype(np.float32), bunch.target_names[bunch.target].astype(object)


def iris() -> Data:
    return as_float32(datasets.load_iris(return_X_y=True))


def iris_scattered() -> Data:
    """Iris with class numbers whose order as numbers, as text and of appearance all differ."""
    features, labels = iris()
    return features, np.array([10, -1, 9])[labels]


def breast_cancer() -> Data:
    return as_float32(datasets.load_breast_cancer(return_X_y=True))


def breast_cancer_with_holes() -> Data:
    """A tenth of the measurements is missing (NaN), as in data from the field."""
    features, labels = breast_cancer()
    holes = np.random.default_rng(7).random(features.shape) < 0.1
    return np.where(holes, np.float32(np.nan), features), labels


def digits() -> Data:
    return as_float32(datasets.load_digits(return_X_y=True))


def wine() -> Data:
    return as_float32(datasets.load_wine(return_X_y=True))


def diabetes() -> Data:
    features, progression = datasets.load_diabetes(return_X_y=True)
    return features.astype(np.float32), scale(progression)


def as_float32(data: Data) -> Data:
    return data[0].astype(np.float32), data[1]


# scikit-learn

Recipe = tuple[Callable[[], BaseEstimator], Callable[[], Data]]

SKLEARN_CLASSIFIERS: dict[str, Recipe] = {
    "logistic regression, text labels": (lambda: LogisticRegression(max_iter=1000), iris_species),
    "logistic regression": (lambda: LogisticRegression(max_iter=1000), iris),
    "logistic regression, scattered labels": (lambda: LogisticRegression(max_iter=1000), iris_scattered),
    "random forest": (lambda: RandomForestClassifier(30, random_state=1), breast_cancer),
    "gradient boosting": (lambda: GradientBoostingClassifier(n_estimators=30, random_state=1), wine),
    "naive Bayes": (GaussianNB, iris),
    "neural network": (lambda: MLPClassifier((32,), max_iter=60, random_state=1, tol=1e-2), digits),
}

SKLEARN_REGRESSORS: dict[str, Recipe] = {
    "ridge": (Ridge, diabetes),
    "random forest": (lambda: RandomForestRegressor(30, random_state=1), diabetes),
    "gradient boosting": (lambda: GradientBoostingRegressor(n_estimators=50, random_state=1), diabetes),
}


@functools.cache
def fitted(name: str, kind: str) -> tuple[BaseEstimator, np.ndarray]:
    """The trained estimator of that name and the features it was trained on."""
    make, load = (SKLEARN_CLASSIFIERS if kind == "classifier" else SKLEARN_REGRESSORS)[name]
    features, target = load()
    return make().fit(features, target), features


@functools.cache
def sklearn_classifier(name: str, zipmap: ZipMap = True) -> Classifier:
    """A classifier; by default its probabilities are a sequence of maps (ZipMap), as skl2onnx makes them."""
    model, features = fitted(name, "classifier")
    onnx = to_onnx(model, features[:1], options={"zipmap": zipmap}).SerializeToString()
    return Classifier(onnx, [features], model.classes_, model.predict(features), model.predict_proba(features))


@functools.cache
def sklearn_regressor(name: str, dtype: type[np.floating] = np.float32) -> Regressor:
    """A regressor that takes and gives numbers of that dtype."""
    model, features = fitted(name, "regressor")
    features = features.astype(dtype)
    onnx = to_onnx(model, features[:1]).SerializeToString()
    return Regressor(onnx, [features], model.predict(features).reshape(-1, 1))


TEXT_COLUMNS, NUMBER_COLUMNS = (0, 1), (2, 3, 4, 5)


@functools.cache
def sklearn_text_pipeline() -> Classifier:
    """A pipeline over two text columns (one-hot) and four numbers (scaled): three inputs, two of them STRING."""
    features, labels = breast_cancer()
    size = binned(features[:, 0], ("small", "medium", "größer als üblich"))
    texture = binned(features[:, 1], ("smooth", "rough", "very rough"))
    numbers = features[:, 4:8]
    table = np.hstack([size, texture, numbers.astype(object)])
    encode = ColumnTransformer(
        [
            ("text", OneHotEncoder(handle_unknown="ignore"), list(TEXT_COLUMNS)),
            ("numbers", StandardScaler(), list(NUMBER_COLUMNS)),
        ]
    )
    model = make_pipeline(encode, LogisticRegression(max_iter=1000)).fit(table, labels)
    table[::5, 0] = "never seen in training"
    return text_pipeline_export(model, table)


def text_pipeline_export(model: Pipeline, table: np.ndarray) -> Classifier:
    text, number = StringTensorType([None, 1]), FloatTensorType([None, len(NUMBER_COLUMNS)])
    types = [("size", text), ("texture", text), ("numbers", number)]
    onnx = convert_sklearn(model, initial_types=types).SerializeToString()
    inputs = [table[:, :1], table[:, 1:2], table[:, list(NUMBER_COLUMNS)].astype(np.float32)]
    return Classifier(onnx, inputs, model.classes_, model.predict(table), model.predict_proba(table))


def binned(values: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """A column of words: every word stands for an equal share of the values."""
    edges = np.quantile(values, np.linspace(0, 1, len(names) + 1)[1:-1])
    return np.array(names, dtype=object)[np.digitize(values, edges)].reshape(-1, 1)


# XGBoost

XGBOOST_CLASSIFIERS: dict[str, Callable[[], Data]] = {
    "two classes": breast_cancer,
    "two classes, missing values": breast_cancer_with_holes,
    "ten classes": digits,
}


@functools.cache
def xgboost_classifier(name: str) -> Classifier:
    """A classifier exported by onnxmltools: labels and a plain tensor of probabilities."""
    features, target = XGBOOST_CLASSIFIERS[name]()
    model = xgboost.XGBClassifier(n_estimators=20, max_depth=4, n_jobs=1).fit(features, target)
    return Classifier(
        xgboost_export(model, features),
        [features],
        model.classes_,
        model.predict(features),
        model.predict_proba(features),
    )


@functools.cache
def xgboost_regressor() -> Regressor:
    features, target = diabetes()
    model = xgboost.XGBRegressor(n_estimators=50, max_depth=4, n_jobs=1).fit(features, target)
    return Regressor(xgboost_export(model, features), [features], model.predict(features).reshape(-1, 1))


def xgboost_export(model: xgboost.XGBModel, features: np.ndarray) -> bytes:
    types = [("features", XGBoostFloat([None, features.shape[1]]))]
    return convert_xgboost(model, initial_types=types).SerializeToString()


@functools.cache
def xgboost_pipeline() -> Classifier:
    """XGBoost as the last step of a scikit-learn pipeline, which gives it a ZipMap of its own."""
    update_registered_converter(
        xgboost.XGBClassifier,
        "XGBoostXGBClassifier",
        calculate_linear_classifier_output_shapes,
        xgboost_converter,
        options={"nocl": [True, False], "zipmap": [True, False, "columns"]},
    )
    features, target = breast_cancer_with_holes()
    fill = SimpleImputer(strategy="constant", fill_value=0.0)
    model = make_pipeline(fill, xgboost.XGBClassifier(n_estimators=20, max_depth=4, n_jobs=1)).fit(features, target)
    onnx = to_onnx(model, features[:1], target_opset={"": 15, "ai.onnx.ml": 3}).SerializeToString()
    return Classifier(onnx, [features], model.classes_, model.predict(features), model.predict_proba(features))
