"""A scan's findings in files of real libraries, and of attackers who want to run commands. None is loaded."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import json
import lzma
import pickle
import pickletools
import resource
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_tui.scanning import files
from registry_tui.scanning.findings import Grade
from support.apart import other_process

_RUN = b"cos\nsystem\n(S'true'\ntR."


def _grade(content: bytes, name: str = "model.pkl") -> Grade:
    return max(found.grade for found in files.scan(name, content))


_SEED = b"numpy.random.bit_generator\n__pyx_unpickle_SeedSequence\n"
_NEW = b"sklearn.neighbors._kd_tree\nnewObj\n"
#: Functions that make an instance of any class, or give it a state, called in another way than their library does.
_MAKERS = {
    "of another class": b"\x80\x02c" + _SEED + b"(csklearn.tree._tree\nTree\nJ\xa2\xaa\xea\x03NtR.",
    "of a class that is unknown": b"\x80\x02c" + _SEED + b"(csubprocess\nPopen\nJ\xa2\xaa\xea\x03NtR.",
    "with a state": b"\x80\x02c" + _SEED + b"(cnumpy.random.bit_generator\nSeedSequence\nJ\xa2\xaa\xea\x03}tR.",
    "with too little": b"\x80\x02c" + _SEED + b"(cnumpy.random.bit_generator\nSeedSequence\ntR.",
    "with what was made": b"\x80\x02c" + _SEED + b"ccollections\nOrderedDict\n)R\x85R.",
    "by NEWOBJ": b"\x80\x02c" + _NEW + b"(csklearn.neighbors._kd_tree\nKDTree\nt\x81.",
    "newObj of another class": b"\x80\x02c" + _NEW + b"(cnumpy\ndtype\ntR.",
    "newObj of a text": b"\x80\x02c" + _NEW + b"(U\x04truetR.",
    "newObj of an instance": b"\x80\x02c" + _NEW + b"(ccollections\nOrderedDict\n)RtR.",
    "newObj of another module's": b"\x80\x02c" + _NEW + b"(csklearn.neighbors._ball_tree\nBallTree\ntR.",
    "newObj of a distance by a function": b"\x80\x02csklearn.metrics._dist_metrics\nnewObj\n("
    b"csklearn.metrics._dist_metrics\nPyFuncDistance64\ntR.",
    "a tree with a metric": b"\x80\x02csklearn.neighbors._kd_tree\nKDTree\n(]U\x04truetR.",
    "appended to": b"\x80\x02c" + _NEW + b"(csklearn.neighbors._kd_tree\nKDTree\ntRNa.",
    "called": b"\x80\x02c" + _NEW + b"(csklearn.neighbors._kd_tree\nKDTree\ntR)R.",
    "instance that is an array by a call": b"\x80\x02csklearn.utils._bunch\nBunch\n)R}U\x09__array__ccollections\n"
    b"OrderedDict\nsb.",
}


def _zip(content: bytes, name: str = "data.pkl", compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        archive.writestr(name, content)
    return target.getvalue()


def _tar(content: bytes) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        member = tarfile.TarInfo("data.pkl")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


def _link() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        member = tarfile.TarInfo("data.pkl")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    return target.getvalue()


def _call(module: str, name: str, protocol: int = 4) -> bytes:
    def text(value: str) -> bytes:
        return b"\x8c" + bytes([len(value)]) + value.encode()

    return b"\x80" + bytes([protocol]) + text(module) + text(name) + b"\x93" + text("true") + b"\x85R."


def _skops(module: str, name: str, loader: str = "ObjectNode") -> bytes:
    return _zip(json.dumps({"__module__": module, "__class__": name, "__loader__": loader}).encode(), "schema.json")


def _array(content: bytes) -> bytes:
    head = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + content


def _npz(content: bytes) -> bytes:
    return _zip(_array(content), "arr_0.npy")


def _torch(content: bytes) -> bytes:
    """As `torch.save` packs it."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/data/0", bytes(16))
    return target.getvalue()


def _lz4(content: bytes) -> bytes:
    """As joblib packs it: one block, which is not compressed."""
    return b"\x04\x22\x4d\x18\x40\x40\xc0" + struct.pack("<I", 1 << 31 | len(content)) + content + bytes(4)


#: An instance of a class that is known, made as pickles make it.
_LINEAR = b"\x80\x02csklearn.linear_model._base\nLinearRegression\n)\x81"

#: Each is tried in every packing below, too.
_HIDDEN: dict[str, bytes] = {
    "builtins.getattr on what is allowed": b"\x80\x04cbuiltins\ngetattr\n"
    b"(ccollections\nOrderedDict\n\x8c\x08__init__tR.",
    "builtins.type": _call("builtins", "type"),
    "builtins.map": _call("builtins", "map"),
    "numpy.testing": _call("numpy.testing._private.utils", "runstring"),
    "numpy.memmap": _call("numpy", "memmap"),
    "numpy.fromfile": _call("numpy", "fromfile"),
    "sklearn reads a file": _call("sklearn.datasets._base", "load_files"),
    "sklearn reads another": _call("sklearn.datasets._svmlight_format_io", "load_svmlight_file"),
    "pandas reads a pickle": _call("pandas.io.pickle", "read_pickle"),
    "joblib's wrapper": _call("joblib.numpy_pickle", "NumpyArrayWrapper"),
    "LightGBM opens what it is called with": _call("lightgbm.basic", "Booster"),
    "XGBoost opens what it is called with": b"\x80\x02cxgboost.core\nBooster\n(NNU\x04pathtR.",
    "an estimator is called": b"(S'/a'\nisklearn.linear_model._base\nLinearRegression\n.",
    "the memo is written twice": b"\x80\x04\x8c\x0bcollections\x94"
    b"\x8c\x02osq\x000\x8c\x06system\x940h\x00h\x01\x93\x8c\x04true\x85R.",
    "the memo by a text": b"(Vos\np7\n0Vsystem\np8\n0g7\ng8\n\x93(S'true'\ntR.",
    "a name by DUP": b"\x80\x04\x8c\x02os2\x93\x8c\x04true\x85R.",
    "a name after POP": b"\x80\x04\x8c\x02os\x8c\x06path\x30\x8c\x06system\x93\x8c\x04true\x85R.",
    "a name of bytes": b"\x80\x04C\x02osC\x06system\x93\x8c\x04true\x85R.",
    "a name by a computed text": b"\x80\x04cbuiltins\nstr\n\x8c\x02os\x85R\x8c\x06system\x93\x8c\x04true\x85R.",
    "an instance that sets its own state": _LINEAR + b"}U\x0c__setstate__ccollections\nOrderedDict\nsb}b.",
    "an instance of another class": _LINEAR + b"}X\x09\x00\x00\x00__class__ccollections\nOrderedDict\nsb.",
    "an instance with an append of its own": _LINEAR + b"}U\x06appendcbuiltins\nlist\nsbK\x01a.",
    "an instance with an extend of its own": _LINEAR + b"}U\x06extendcbuiltins\nlist\nsb(K\x01e.",
    "a call of the code of a pickle": b"\x80\x04ccloudpickle.cloudpickle\n_make_function\n)R"
    b"ccollections\nOrderedDict\n)R)R.",
    "old names of Python 2": b"\x80\x02ccommands\ngetoutput\n(U\x04truetR.",
    "old names of Python 2, renamed": b"\x80\x02c__builtin__\nreduce\n(U\x04truetR.",
    "a buffer that is not in it": b"\x80\x05\x97.",
    "a module of its own name": _call("__main__", "Model"),
    "a submodule": _call("sklearn.linear_model._base.os", "system"),
}

_PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "as it is": bytes,
    "joblib's zlib": lambda content: zlib.compress(content, 3),
    "joblib's gzip": gzip.compress,
    "joblib's bzip2": bz2.compress,
    "joblib's xz": lzma.compress,
    "joblib's lzma": lambda content: lzma.compress(content, format=lzma.FORMAT_ALONE),
    "joblib's lz4": _lz4,
    "joblib in a zip": lambda content: _zip(zlib.compress(content), "model.joblib"),
    "NumPy's npy": _array,
    "NumPy's npz": _npz,
    "PyTorch's zip": _torch,
}


@pytest.mark.parametrize("packing", _PACKINGS)
@pytest.mark.parametrize("trick", _HIDDEN)
def test_no_hidden_trick_is_a_known_import(trick: str, packing: str) -> None:
    assert _grade(_PACKINGS[packing](_HIDDEN[trick])) > Grade.KNOWN_IMPORTS


_MALICIOUS: dict[str, bytes] = {
    "protocol 0": _RUN,
    "protocol 2 with the old names": b"\x80\x02c__builtin__\neval\n(U\x041+1\ntR.",
    "STACK_GLOBAL": _call("posix", "system"),
    "INST": b"(S'true'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'true'\no.",
    "NEWOBJ": b"\x80\x02csubprocess\nPopen\n(U\x04truet\x81.",
    "NEWOBJ_EX": b"\x80\x04csubprocess\nPopen\n(U\x04truet}\x92.",
    "EXT1": b"\x80\x02\x82\x01)R.",
    "EXT2": b"\x80\x02\x83\x01\x00)R.",
    "EXT4": b"\x80\x02\x84\x01\x00\x00\x00)R.",
    "PERSID": b"Pname\n.",
    "BINPERSID": b"\x80\x02U\x04nameQ.",
    "name from the memo": b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940h\x00h\x01\x93\x8c\x04true\x85R.",
    "computed name": b"\x80\x04c_codecs\nencode\n(\x8c\x02os\x8c\x06latin1tR\x8c\x06system\x93\x8c\x04true\x85R.",
    "second pickle": pickle.dumps(1) + _RUN,
    "no end": _RUN[:-1],
    "rubbish behind": b"\x80\x02}." + b"\xff\xfe\xfd",
    "getattr": _call("builtins", "getattr"),
    "partial": _call("functools", "partial"),
    "pkgutil.resolve_name": _call("pkgutil", "resolve_name"),
    "operator.attrgetter": _call("operator", "attrgetter"),
    "operator.methodcaller": _call("operator", "methodcaller"),
    "importlib": _call("importlib", "import_module"),
    "runpy": _call("runpy", "run_path"),
    "pip": _call("pip", "main"),
    "timeit": _call("timeit", "timeit"),
    "numpy.f2py": _call("numpy.f2py.crackfortran", "param_eval"),
    "numpy.load": _call("numpy", "load"),
    "joblib.load": _call("joblib", "load"),
    "sklearn fetch": _call("sklearn.datasets", "fetch_openml"),
    "dotted name of what is allowed": _call("collections", "OrderedDict.__init__.__globals__"),
    "module through an allowed one": _call("sklearn.tree._tree", "np"),
    "asyncio": _call("asyncio.unix_events", "_UnixSubprocessTransport._start"),
    "codec that is imported by name": b"\x80\x04c_codecs\nencode\n(\x8c\x01a\x8c\x05evil1tR.",
    "class that is changed": b"\x80\x02csklearn.tree._tree\nTree\n}U\x0c__setstate__ccollections\nOrderedDict\nsb.",
    "call of what was made": b"\x80\x02ccollections\nOrderedDict\n)R)R.",
    "frame that claims more": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f" + _RUN,
    "claim of 10 GB": b"\x80\x04\x8e" + struct.pack("<Q", 10**10) + b"a",
    **{f"maker: {name}": content for name, content in _MAKERS.items()},
    "zip": _zip(_RUN),
    "zip in a zip": _zip(_zip(_RUN)),
    "zip behind a pickle": pickle.dumps(1) + _zip(_RUN),
    "pickle before a zip": _RUN + _zip(b"{}", "a.json"),
    "tar": _tar(_RUN),
    "link in a tar": _link(),
    "gzip": gzip.compress(_RUN),
    "bzip2": bz2.compress(_RUN),
    "xz": lzma.compress(_RUN),
    "lzma": lzma.compress(_RUN, format=lzma.FORMAT_ALONE),
    "zlib, as joblib does": zlib.compress(_RUN, 3),
    "each in another": gzip.compress(bz2.compress(_zip(zlib.compress(_RUN)))),
    "zlib that goes on": zlib.compress(b"{}") + _RUN,
    "LZMA that wants 4 GiB": b"\x5d\x00\x00\xff\xff" + lzma.compress(_RUN, format=lzma.FORMAT_ALONE)[5:],
    "zip with LZMA": _zip(_RUN, compression=zipfile.ZIP_LZMA),
    "array of objects": _array(_RUN),
    "unsafe YAML": b"a: !!python/object/apply:os.system [true]",
    "ELF": b"\x7fELF\x02\x01\x01",
    "PE": b"MZ\x90\x00",
    "skops": _skops("os", "system"),
    "skops function": _skops("builtins", "int", "FunctionNode"),
    "no known format": b"\x00\x01\x02\x03",
    "no known opcodes": b"\x80\x04\xfe",
}


@pytest.mark.parametrize("trick", _MALICIOUS)
def test_no_trick_is_a_known_import(trick: str) -> None:
    assert _grade(_MALICIOUS[trick]) is Grade.UNKNOWN


def _bomb() -> bytes:
    """Packed twice, so that some kilobytes are 300 MiB."""
    target = io.BytesIO()
    with gzip.GzipFile(fileobj=target, mode="wb") as outer, gzip.GzipFile(fileobj=outer, mode="wb") as inner:
        for _ in range(300):
            inner.write(bytes(1 << 20))
    return target.getvalue()


#: Files that would take long, or much memory.
_COSTLY: dict[str, Callable[[], bytes]] = {
    "bomb": _bomb,
    "many pickles": lambda: b"N." * 3_000_000,
    "many members": lambda: _zip(b"N0" * 2_000_000 + b"N."),
    "unsafe YAML that never ends": lambda: b"!<" * 2_000_000,
    "marks": lambda: b"(" * 3_000_000,
}


def _cost(name: str) -> tuple[int, float, int]:
    """The grade, the seconds of a processor, and by how many MiB the process grew."""
    content = _COSTLY[name]()
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grade = _grade(content)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return int(grade), time.process_time() - began, grown // 1024


@pytest.mark.slow
@pytest.mark.parametrize("name", _COSTLY)
def test_a_scan_takes_bounded_time_and_memory(name: str) -> None:
    with other_process() as other:
        grade, seconds, mebibytes = other.submit(_cost, name).result()
    assert grade == Grade.UNKNOWN or name == "unsafe YAML that never ends"
    # Some seconds, where without bounds it would be minutes.
    assert seconds < 60 and mebibytes < 700, (seconds, mebibytes)


def _forest() -> object:
    ensemble = importlib.import_module("sklearn.ensemble")
    return ensemble.RandomForestClassifier(n_estimators=3).fit([[0.0], [1.0], [2.0]], [0, 1, 1])


def _pipeline() -> object:
    make = importlib.import_module("sklearn.pipeline").make_pipeline
    scale = importlib.import_module("sklearn.preprocessing").StandardScaler
    linear = importlib.import_module("sklearn.linear_model").LogisticRegression
    return make(scale(), linear()).fit([[0.0], [1.0], [2.0]], [0, 1, 1])


def _neighbours(algorithm: str) -> object:
    neighbours = importlib.import_module("sklearn.neighbors")
    return neighbours.KNeighborsClassifier(1, algorithm=algorithm).fit([[0.0], [1.0], [2.0]], [0, 1, 1])


def _boosting(name: str) -> object:
    """Without a seed, the state of a generator is kept; with three classes, a loss of Cython's own making."""
    rows = [[float(each)] for each in range(60)]
    options = {"n_estimators": 2} if name == "GradientBoostingClassifier" else {"max_iter": 2}
    return getattr(importlib.import_module("sklearn.ensemble"), name)(**options).fit(rows, [0, 1, 2] * 20)


def _by_joblib(thing: Callable[[], object]) -> bytes:
    target = io.BytesIO()
    importlib.import_module("joblib").dump(thing(), target)
    return target.getvalue()


def _made(library: str, thing: Callable[[], object], **options: object) -> bytes:
    made: bytes = importlib.import_module(library).dumps(thing(), **options)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("thing", [_forest, _pipeline])
@pytest.mark.parametrize("library", ["pickle", "cloudpickle", "skops.io"])
def test_models_of_scikit_learn_have_known_imports(library: str, thing: Callable[[], object]) -> None:
    found = files.scan("model", _made(library, thing))
    assert max(each.grade for each in found) is Grade.KNOWN_IMPORTS, found


@pytest.mark.slow
@pytest.mark.parametrize(
    "thing",
    [
        partial(_neighbours, "kd_tree"),
        partial(_neighbours, "ball_tree"),
        partial(_boosting, "GradientBoostingClassifier"),
        partial(_boosting, "HistGradientBoostingClassifier"),
    ],
    ids=["kd_tree", "ball_tree", "boosting", "histogram boosting"],
)
def test_trees_of_neighbours_and_boosting_have_known_imports(thing: Callable[[], object]) -> None:
    for content in (_made("pickle", thing), _made("cloudpickle", thing), _by_joblib(thing)):
        found = files.scan("model.pkl", content)
        assert max(each.grade for each in found) is Grade.KNOWN_IMPORTS, found


def _boosted(folder: str) -> None:
    """Models of XGBoost and LightGBM as they, MLflow and pickle save them, and Python functions."""
    numpy, xgboost, lightgbm = (importlib.import_module(name) for name in ("numpy", "xgboost", "lightgbm"))
    mlflow = {name: importlib.import_module(f"mlflow.{name}") for name in ("xgboost", "lightgbm", "sklearn", "pyfunc")}
    table = numpy.array([[float(row), row % 3] for row in range(40)])
    wanted = (table[:, 0] > 20).astype(int)
    trees = xgboost.XGBClassifier(n_estimators=2).fit(table, wanted)
    leaves = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1, min_child_samples=1).fit(table, wanted)
    scale = importlib.import_module("sklearn.preprocessing").StandardScaler
    line = importlib.import_module("sklearn.pipeline").make_pipeline(scale(), trees).fit(table, wanted)
    target = Path(folder)
    for form in ("json", "ubj"):
        mlflow["xgboost"].save_model(trees.get_booster(), target / f"safe/{form}", model_format=form)
    mlflow["xgboost"].save_model(trees, target / "safe/wrapped")
    mlflow["lightgbm"].save_model(leaves.booster_, target / "safe/leaves")
    mlflow["lightgbm"].save_model(leaves, target / "known/leaves")
    for form in ("pickle", "cloudpickle"):
        mlflow["sklearn"].save_model(line, target / f"known/{form}", serialization_format=form)
    for protocol in range(6):
        for name, model in (("trees", trees), ("booster", trees.get_booster()), ("leaves", leaves)):
            (target / f"known/{name}-{protocol}.pkl").write_bytes(pickle.dumps(model, protocol))

    class Doubled(mlflow["pyfunc"].PythonModel):  # type: ignore[misc]
        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            return leaves.predict(model_input * 2)

    def doubled(model_input: list[str]) -> list[str]:
        return model_input * 2

    mlflow["pyfunc"].save_model(target / "code/class", python_model=Doubled())
    mlflow["pyfunc"].save_model(target / "code/function", python_model=doubled, input_example=["a"])


@pytest.mark.slow
def test_models_of_other_libraries_are_told_as_what_they_are(tmp_path: Path) -> None:
    with other_process() as other:
        other.submit(_boosted, str(tmp_path)).result()
    folders = {"safe": Grade.SAFE_FORMAT, "known": Grade.KNOWN_IMPORTS, "code": Grade.RUNS_CODE}
    for folder, most in folders.items():
        saved = list((tmp_path / folder).iterdir())
        assert saved
        for each in saved:
            paths = [path for path in [each, *each.rglob("*")] if path.is_file()]
            found = [finding for path in paths for finding in files.scan(path.name, path.read_bytes())]
            assert max(finding.grade for finding in found) is most, (each.name, found)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol_is_read(protocol: int) -> None:
    content = pickle.dumps(_forest(), protocol)
    assert pickletools.optimize(content)
    assert _grade(content) is Grade.KNOWN_IMPORTS
    assert _grade(gzip.compress(content)) is Grade.KNOWN_IMPORTS


def test_no_known_name_means_another_one_in_old_protocols() -> None:
    old = importlib.import_module("_compat_pickle")
    pairs = {tuple(pair.split(" ")) for pair in files.known_imports()}
    assert not pairs & old.NAME_MAPPING.keys()
    assert not {module for module, _ in pairs} & old.IMPORT_MAPPING.keys()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("requirements.txt", b"mlflow==3.6\nscikit-learn==1.7\ncloudpickle\n"),
        ("conda.yaml", b"channels:\n- conda-forge\ndependencies:\n- python=3.11\n"),
        ("python_env.yaml", b"python: 3.11\nbuild_dependencies:\n- pip\n"),
        ("MLmodel", b"flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n"),
        ("input_example.json", b'{"columns": [1], "data": [[1]]}'),
        ("model.lgb", b"tree\nversion=v4\nnum_class=1\n"),
        ("model.safetensors", struct.pack("<Q", 2) + b"{}"),
        ("data.csv", b"Name,age\nAnn,3\n"),
        ("empty", b""),
    ],
)
def test_formats_without_code_are_safe(name: str, content: bytes) -> None:
    assert files.scan(name, content)[0].grade is Grade.SAFE_FORMAT


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("code/model.py", b"import os\n"),
        ("MLmodel", b"flavors:\n  python_function:\n    loader_module: os\n"),
        ("MLmodel", b'flavors:\n  python_function:\n    "loader\\x5fmodule": os\n'),
        ("config.json", b'{"class_name": "Lambda"}'),
    ],
)
def test_code_is_told_as_code(name: str, content: bytes) -> None:
    assert files.scan(name, content)[0].grade is Grade.RUNS_CODE


def test_of_a_large_file_only_the_head_of_a_safe_format_is_believed() -> None:
    assert files.scan("m.gguf", b"GGUF\x03", whole=False)[0].grade is Grade.SAFE_FORMAT
    assert files.scan("m.pkl", pickle.dumps(1), whole=False)[0].grade is Grade.UNKNOWN


@given(st.one_of(st.binary(max_size=300), st.sampled_from(sorted(_MALICIOUS)).map(lambda name: _MALICIOUS[name][1:])))
def test_a_scan_answers_for_any_content(content: bytes) -> None:
    assert files.scan("a", content[:2000])


@given(st.sampled_from([name for name in _MALICIOUS if len(_MALICIOUS[name]) < 500]), st.binary(max_size=20))
def test_what_is_behind_a_command_does_not_hide_it(name: str, behind: bytes) -> None:
    assert _grade(_RUN + behind + _MALICIOUS[name]) is Grade.UNKNOWN


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02c" + _SEED + b"(cnumpy.random.bit_generator\nSeedSequence\nJ\xa2\xaa\xea\x03NtR.",
        b"\x80\x02c" + _NEW + b"(csklearn.neighbors._kd_tree\nKDTree\ntR.",
    ],
)
def test_what_makes_an_instance_as_its_library_does_is_known(content: bytes) -> None:
    assert _grade(content) is Grade.KNOWN_IMPORTS
