"""Downloads that wait for a version's archive."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from registry_tui.mlflow_plugin.pending import FAILED, PENDING, READY, Waiting, refuse_failed, refuse_unstored


def version(status: str, message: str = "") -> ModelVersion:
    return ModelVersion("wine", "2", 0, status=status, status_message=message)


def test_a_download_is_answered_as_soon_as_the_version_is_stored() -> None:
    waiting, looked, status = Waiting(patience=600), threading.Event(), [PENDING]

    def look() -> ModelVersion:
        looked.set()
        return version(status[0])

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(waiting.until_stored, look)
        assert looked.wait(300)
        status[0] = READY
        waiting.report_change()
        assert asked.result(300).status == READY


def test_waiting_ends_with_the_patience_and_the_answer_says_so() -> None:
    found = Waiting(patience=0.01).until_stored(lambda: version(PENDING))
    with pytest.raises(MlflowException, match="is still being stored") as caught:
        refuse_unstored(found)
    assert caught.value.get_http_status_code() == 400


def test_more_requests_than_may_wait_are_asked_to_come_back() -> None:
    waiting, looked, go_on = Waiting(patience=600, most=1), threading.Event(), threading.Event()

    def look() -> ModelVersion:
        looked.set()
        assert go_on.wait(300)
        return version(READY)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(waiting.until_stored, look)
        assert looked.wait(300)
        with pytest.raises(MlflowException, match="Try again") as caught:
            waiting.until_stored(lambda: version(PENDING))
        assert caught.value.get_http_status_code() == 503
        go_on.set()
        assert first.result(300).status == READY
    assert waiting.until_stored(lambda: version(READY)).status == READY


def test_a_place_is_free_again_after_an_error() -> None:
    waiting = Waiting(patience=600, most=1)

    def deleted() -> ModelVersion:
        raise MlflowException("gone")

    for _ in range(2):
        with pytest.raises(MlflowException, match="gone"):
            waiting.until_stored(deleted)


def test_a_failed_version_is_refused_with_its_reason() -> None:
    refuse_failed("wine", 2, READY, None, "get the alias 'a'")
    with pytest.raises(MlflowException, match="cannot get the alias 'a', because it could not be stored: disk full"):
        refuse_failed("wine", 2, FAILED, "disk full.", "get the alias 'a'")
    with pytest.raises(MlflowException, match=r"could not be stored \(disk full\). Register it again"):
        refuse_unstored(version(FAILED, "disk full"))
