"""What a caller is answered does not depend on who else asks: the scorer with real models, in another process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from registry_tui.serving.company import Decision
from support.apart import other_process

ECHOED = ("kinds", "doubles", "tensor", "whole tensor", "named tensors")
LEARNT = ("forest", "boosted", "linear", "text", "centred", "imputed")

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """`ask(function, *arguments)` calls a function of `support/learnt_models.py` for this module's folder of models."""
    folder = tmp_path_factory.mktemp("models")
    with other_process() as other:
        yield lambda function, *arguments: other.submit(_call, function, folder, arguments).result()


def _call(function: str, folder: Path, arguments: tuple[Any, ...]) -> Any:
    # Imported where it is called: MLflow and scikit-learn take 300 MiB.
    from support import learnt_models

    return getattr(learnt_models, function)(folder, *arguments)


@pytest.mark.slow
def test_requests_share_calls_only_where_a_model_is_known_to_answer_row_by_row(ask: Ask) -> None:
    decisions: dict[str, Decision] = {name: ask("decided", name) for name in [*LEARNT, "dates"]}
    assert [name for name, decision in decisions.items() if decision.together][:2] == ["forest", "boosted"]
    assert "among other rows in a trial" in decisions["forest"].why
    assert "FunctionTransformer is not known" in decisions["centred"].why
    assert "KNNImputer is not known" in decisions["imputed"].why
    assert decisions["dates"] == Decision(True, "the deployment's setting is on")
    assert ask("decided_as", "forest", "off") == Decision(False, "the deployment's setting is off")
    assert "flavour mlflow.pyfunc.model are not known" in ask("decided_as", "dates", "auto").why


@pytest.mark.slow
def test_a_subclass_of_a_known_class_is_not_known(ask: Ask) -> None:
    assert "Centring is not known" in ask("decided_about_a_subclass").why


@pytest.mark.slow
def test_a_known_model_whose_answer_differs_in_company_is_predicted_alone(ask: Ask) -> None:
    decision = ask("decided_where_answers_differ", "boosted")
    assert not decision.together and "an answer differed when" in decision.why


@pytest.mark.slow
@pytest.mark.parametrize("name", [*LEARNT, "dates"])
def test_no_answer_depends_on_who_else_asks(name: str, ask: Ask) -> None:
    compared = ask("compare", name)
    assert not compared.mixed, compared.mixed[:3]
    assert compared.asked > 50 and compared.batch is compared.decided
    # The comparison means something: where requests may share calls, some did.
    assert not compared.decided or compared.together > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["forest", "linear", "text", "dates", *ECHOED])
def test_answers_equal_those_of_mlflows_own_steps(name: str, ask: Ask) -> None:
    differing, good = ask("compare_with_mlflow", name)
    assert not differing, differing[:3]
    assert good >= 10


@pytest.mark.slow
def test_a_table_in_arrow_is_answered_as_the_same_one_in_json(ask: Ask) -> None:
    told = ask("asked_with_arrow", "linear")
    assert told["by arrow"] == told["json"] and len(told["json"]["predictions"]) == 3
    assert told["stream"] == ("application/vnd.apache.arrow.stream", told["json"])
    for what in ("half", "nothing"):
        assert told[what].status == 400 and b"no stream of Arrow" in told[what].body
    assert told["a column too few"].status == 400 and b"missing inputs ['a']" in told["a column too few"].body


@pytest.mark.slow
def test_each_caller_keeps_the_format_of_own_dates(ask: Ask) -> None:
    alone, found = ask("dates_of_callers", ["13/02/2026", "01/02/2026", "2026-02-01", "01/02/2026"])
    assert found == alone and alone[1] == "2026-01-02 00:00:00" and alone[0] == "2026-02-13 00:00:00"
