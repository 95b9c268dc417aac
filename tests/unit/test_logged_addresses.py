"""MLflow's log names databases without their passwords."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from registry_tui.mlflow_plugin.logged_addresses import hide_passwords

ADDRESS = "postgresql+psycopg://ann:p%40ss%2Fword@db.lab:5432/acme?options=-csearch_path%3Dx"


@pytest.fixture(autouse=True)
def _records_as_before() -> Iterator[None]:
    before = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(before)


def test_no_message_and_no_traceback_holds_a_password(caplog: pytest.LogCaptureFixture) -> None:
    hide_passwords(["sqlite:////srv/mlflow.db", ADDRESS])
    log = logging.getLogger("of this test")
    log.warning("Run 'mlflow gc --backend-store-uri %s'", ADDRESS)
    log.warning("password %s of %s", "p@ss/word", {"as": "p%40ss%2Fword"})
    try:
        raise ValueError(f"cannot open {ADDRESS}")
    except ValueError:
        log.exception("it failed")
    assert "Run 'mlflow gc --backend-store-uri postgresql://ann@db.lab:5432/acme'" in caplog.text
    assert "cannot open postgresql://ann@db.lab:5432/acme" in caplog.text
    assert "password … of {'as': '…'}" in caplog.text
    assert "p@ss" not in caplog.text and "p%40ss" not in caplog.text


def test_other_records_are_as_they_were(caplog: pytest.LogCaptureFixture) -> None:
    hide_passwords([ADDRESS])
    logging.getLogger("uvicorn.access").warning("%s %d", "GET", 200)
    assert caplog.records[-1].args == ("GET", 200) and caplog.records[-1].exc_text is None
    # Only the one that it writes to complains of a record whose arguments do not fit.
    record = logging.getLogRecordFactory()("x", logging.INFO, "file", 1, "%d", ("text",), None)
    assert record.args == ("text",)


def test_a_password_in_the_query_is_hidden_too(caplog: pytest.LogCaptureFixture) -> None:
    address = "postgresql://mlflow@db/mlflow?password=s3cret%2Fpw-9&sslmode=require"
    hide_passwords([address])
    log = logging.getLogger("of this test")
    log.warning("cannot open %s", address)
    log.warning("cannot open postgresql+psycopg://mlflow@db/mlflow?sslmode=require&password=s3cret%2Fpw-9")
    log.warning("connect(password=s3cret/pw-9)")
    assert "cannot open postgresql://mlflow@db/mlflow" in caplog.text
    assert "sslmode=require&password=…" in caplog.text and "connect(password=…)" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("password", ["mlflow", "x7", "registry_tui"])
def test_a_password_that_is_a_part_of_many_words_is_hidden_in_addresses_only(
    caplog: pytest.LogCaptureFixture, password: str
) -> None:
    hide_passwords([f"postgresql://mlflow:{password}@db/mlflow"])
    log = logging.getLogger("of this test")
    log.warning("registry_tui and mlflow.server: x7 requests")
    log.warning("postgresql+psycopg://mlflow:%s@db/mlflow?a=b failed", password)
    log.warning("given: {'password': '%s'} password=%s", password, password)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        "registry_tui and mlflow.server: x7 requests",
        "postgresql+psycopg://mlflow:…@db/mlflow?a=b failed",
        "given: {'password': '…'} password=…",
    ]


def test_an_argument_that_cannot_be_written_does_not_end_what_logs_it() -> None:
    class Detached:
        def __str__(self) -> str:
            raise AttributeError("detached")

    hide_passwords([ADDRESS])
    log = logging.getLogger("of this test, and heard by nobody")
    log.propagate = False
    log.addHandler(logging.NullHandler())
    log.warning("the row %s", Detached())


def test_without_a_password_nothing_is_changed() -> None:
    before = logging.getLogRecordFactory()
    hide_passwords(["sqlite:////srv/mlflow.db", "postgresql+psycopg://ann@/acme"])
    assert logging.getLogRecordFactory() is before
