"""`python -m registry_tui.serving SPEC`: checks the archive's sums, loads the model, and serves it on a unix socket."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry_tui.contracts import archive_check as archive
from registry_tui.contracts import signatures
from registry_tui.contracts.counts import counted
from registry_tui.contracts.replica_spec import (
    Limits,
    ReplicaSpec,
    batching_file,
    calls_file,
    reason_file,
    starts_file,
    unread_file,
)
from registry_tui.serving import preloading
from registry_tui.serving.calls import CallRecord, last_line

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

    from registry_tui.serving.scorer import Scorer
    from registry_tui.serving.shortcuts import Shortcuts

logger = logging.getLogger("registry_tui.serving")

#: sysexits(3): the input is unusable. Trying again will not help.
UNUSABLE = 78
#: sysexits(3): a temporary failure. It is started again.
STUCK = 75
#: Seconds without a byte from an NFS after which its server counts as gone.
SILENT_SECONDS = 60.0
#: Connections that may wait to be accepted.
BACKLOG = 512
#: Seconds after which a hanging trial is given up: more than its own limit.
TRIAL_SECONDS = 60.0
#: Seconds between two looks at the calls of the model that are under way, and while others wait.
LOOK_SECONDS, CROWDED_SECONDS = 1.0, 0.25
#: Variables that numerical libraries read their number of threads from.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Unusable(Exception):
    """The model cannot be served; the message has the reason."""


class FilesUnusable(Unusable):
    """The model's files are not those of its archive."""


def main() -> None:
    """Serves the replica of the spec at `sys.argv[1]`, until SIGTERM."""
    os.umask(0o077)
    # A model's code is in its archive, which must keep matching its manifest, also for child processes of the model.
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    path = Path(sys.argv[1])
    reason = reason_file(path)
    try:
        spec = ReplicaSpec.load(path)
        _note_start(starts_file(path))
        os.environ.update({name: str(spec.threads) for name in _THREADS})
        # As `mlflow models serve` sets it: models may check whether they serve.
        os.environ["_MLFLOW_IS_IN_SERVING_ENVIRONMENT"] = "true"
        os.environ.update(spec.environment)
        with _going_on(spec, reason) as advance:
            folder = check(spec, advance)
        model = load(spec, folder)
    except (Unusable, OSError, ValueError, TypeError) as error:
        logger.error("%s", error)
        if isinstance(error, (FilesUnusable, OSError)):
            unread_file(path).touch()
        reason.write_text(str(error), encoding="utf-8")
        sys.exit(UNUSABLE)
    reason.unlink(missing_ok=True)
    unread_file(path).unlink(missing_ok=True)
    serve(spec, model, folder, path)


@contextmanager
def _going_on(spec: ReplicaSpec, reason: Path) -> Iterator[Callable[[], None]]:
    """Ends the process with the reason when an NFS server stops responding to reads.

    Yields a callback to be called for each piece read.
    """
    last, ended = [time.monotonic()], threading.Event()

    def watch() -> None:
        while not ended.wait(1.0):
            if time.monotonic() - last[0] > SILENT_SECONDS:
                reason.write_text(
                    f"The NFS server of {spec.model} does not answer",
                    encoding="utf-8",
                )
                logging.shutdown()
                os._exit(UNUSABLE)

    def advance() -> None:
        last[0] = time.monotonic()

    if spec.shared:
        threading.Thread(target=watch, name="nfs", daemon=True).start()
    try:
        yield advance
    finally:
        ended.set()


def check(spec: ReplicaSpec, advance: Callable[[], None] = lambda: None) -> Path:
    """Checks the archive against its manifest, and returns the model's folder. Raises Unusable, OSError."""
    began = time.monotonic()
    try:
        if spec.manifest_sha256 and archive.sha256(Path(spec.model) / archive.MANIFEST) != spec.manifest_sha256:
            raise FilesUnusable(
                f"The archive of {spec.model_name} v{spec.version} was replaced: its manifest is another one"
            )
        folder = archive.check(Path(spec.model), advance)
    except archive.ArchiveDamaged as error:
        raise FilesUnusable(f"The archive of {spec.model_name} v{spec.version} is damaged: {error}") from error
    if spec.signature:
        _check_signature(spec)
    seconds = time.monotonic() - began
    logger.info("%s v%s: all sums as in the manifest (%.1f s)", spec.model_name, spec.version, seconds)
    return folder


def _check_signature(spec: ReplicaSpec) -> None:
    """Raises Unusable, unless a currently trusted key has signed the files of the manifest."""
    message = f"{spec.model_name} v{spec.version} is not as it was signed"
    try:
        # A key removed from the trust store meanwhile is no longer in the file.
        trusted = json.loads(Path(spec.trusted_keys).read_text(encoding="utf-8"))
        signed = signatures.verify(Path(spec.signature).read_bytes(), trusted)
        signatures.check_files(signed, archive.sums(Path(spec.model)))
    except signatures.SignatureProblem as problem:
        raise Unusable(f"{message}: {problem}") from problem
    except (OSError, ValueError) as error:
        raise Unusable(f"The signature of {spec.model_name} v{spec.version} cannot be checked: {error}") from error
    except ImportError as error:
        raise Unusable(
            f"The signature of {spec.model_name} v{spec.version} cannot be checked, because the model's Python lacks "
            f"{error.name}: deploy it again"
        ) from error
    if spec.signed_version and signed.version_id != spec.signed_version:
        raise Unusable(f"{message}: its signature was made for another version")
    logger.info("%s v%s: signed with the key %s", spec.model_name, spec.version, signatures.short(signed.fingerprint))


def load(spec: ReplicaSpec, folder: Path) -> PyFuncModel:
    """The model in a folder. Raises Unusable."""
    began = time.monotonic()
    try:
        preloading.import_server_modules()
        # An error of importing MLflow is the reason that the replica gives.
        import mlflow.pyfunc

        model = mlflow.pyfunc.load_model(str(folder))
    except Exception as error:  # a model's own code may raise anything
        logger.exception("The model does not load")
        raise Unusable(f"{spec.model_name} v{spec.version} does not load: {last_line(error)}") from error
    logger.info("loaded in %.1f s", time.monotonic() - began)
    return model


def serve(spec: ReplicaSpec, model: Any, folder: Path, path: Path) -> None:
    """Serves requests on the spec's socket until SIGTERM."""
    # As in `load`, which has imported MLflow by now.
    import mlflow
    import uvicorn

    from registry_tui.serving.app import ReplicaApp
    from registry_tui.serving.company import Decision, decide
    from registry_tui.serving.joined import JoinedHTTP
    from registry_tui.serving.open_inference import Served
    from registry_tui.serving.scorer import Scorer
    from registry_tui.serving.shortcuts import Shortcuts

    limits, example = spec.limits, _example(folder)
    shortcuts = Shortcuts().install()
    record = CallRecord(calls_file(path))

    def note(decided: Decision) -> None:
        logger.info("%s", decided)
        batching_file(path).write_text(str(decided), encoding="utf-8")

    if not _within(limits.seconds, lambda: _warm_up(model, example, shortcuts)):
        reason_file(path).write_text(
            f"{spec.model_name} v{spec.version} does not answer its input example "
            f"within {counted(limits.seconds, 'second')}",
            encoding="utf-8",
        )
        logging.shutdown()
        os._exit(UNUSABLE)
    found: list[Decision] = []
    _within(TRIAL_SECONDS, lambda: found.append(decide(model, example, spec.batching, shortcuts)))
    decided = found[0] if found else Decision(False, "a call of the trial did not come back")
    note(decided)
    scorer = Scorer(
        model,
        batch=decided.together,
        queue_length=limits.queue_length,
        queue_bytes=limits.body_bytes,
        threads=spec.threads,
        strict_json=spec.strict_json,
        on_alone=lambda why: note(Decision(False, why)),
        record=record,
        shortcuts=shortcuts,
    )
    threading.Thread(target=_end_when_stuck, args=(scorer, limits, record), name="watch", daemon=True).start()
    app = ReplicaApp(
        scorer,
        name=spec.name,
        mlflow_version=mlflow.__version__,
        limits=spec.limits,
        model=model,
        served=Served(spec.model_name, spec.deployment, spec.version),
        example=example,
    )
    config = uvicorn.Config(
        app,
        http=JoinedHTTP,
        # The gateway is the only caller, and names no other.
        proxy_headers=False,
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        ws="none",
        timeout_keep_alive=75,
        # Requests in progress at SIGTERM have their usual timeout.
        timeout_graceful_shutdown=round(spec.limits.seconds) + 1,
        backlog=BACKLOG,
    )
    # Listens only now: every client that can connect gets a response.
    listener = _listen(Path(spec.socket))
    logger.info("ready")
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        record.refused()
        logger.info("stopped")


def _within(seconds: float, work: Callable[[], object]) -> bool:
    """Whether work ends within that time; a thread that does not come back is left behind."""
    thread = threading.Thread(target=work, name="trial", daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()


def _end_when_stuck(scorer: Scorer, limits: Limits, record: CallRecord) -> None:
    """Ends the process when a call of the model never returns: a thread cannot be ended. supervisord restarts it.

    While calls are long, others are answered beside them.
    """
    hangs = False
    while (taken := max(scorer.under_way(), default=0.0)) <= limits.stuck_seconds:
        if taken > limits.seconds and not hangs:
            record.hangs(limits.seconds)
        hangs = taken > limits.seconds
        time.sleep(CROWDED_SECONDS if scorer.relieve() else LOOK_SECONDS)
    record.refused()
    logger.error(
        "a call of the model has taken more than %g seconds; this replica ends, and is started again",
        limits.stuck_seconds,
    )
    logging.shutdown()
    os._exit(STUCK)


def _example(folder: Path) -> bytes | None:
    """The request that MLflow stored with the model, if any."""
    path = folder / "serving_input_example.json"
    return path.read_bytes() if path.is_file() else None


def _warm_up(model: Any, example: bytes | None, shortcuts: Shortcuts) -> None:
    """Predicts the model's own example once, so that the first caller does not wait for lazy imports."""
    # As in `load`.
    from registry_tui.serving.answers import score_alone

    if example is None:
        return
    answer = score_alone(example, "application/json", model, shortcuts)
    if answer.status != 200:
        logger.warning("the model's own input example is answered with %s: %s", answer.status, answer.body[:2000])


def _listen(path: Path) -> socket.socket:
    """A listening unix socket that replaces one left from before."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(BACKLOG)
    return listener


def _note_start(path: Path) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps([time.time(), os.getpid()]) + "\n")


if __name__ == "__main__":
    main()
