"""Scenes of `scenes.py`: stages and approvals of versions."""

from __future__ import annotations

from support.program import Driver
from support.scene_names import ENVIRONMENT, MODEL, REGISTRY, WEBHOOK, Scene


async def approvals(see: Driver) -> None:
    see.go("approvals")
    await see.rows("approvals")
    await see.shows("◆ for you")


async def approval(see: Driver) -> None:
    await approvals(see)
    await see.press("enter")
    await see.shows("Question", "Asked by")


async def decide(see: Driver) -> None:
    await approvals(see)
    await see.press("ampersand")
    await see.shows("approve: it may go on")


async def ask_approval(see: Driver) -> None:
    see.go("model", registry=REGISTRY, model=MODEL)
    await see.rows("model")
    await see.press("ampersand")
    await see.shows("Ask for approval of")


async def stage(see: Driver) -> None:
    see.go("model", registry=REGISTRY, model=MODEL)
    await see.rows("model")
    await see.until(lambda: see.screen.model is not None, "the model")
    await see.press("ctrl+g")
    await see.shows("Stage of", "Set stage")


async def scan(see: Driver) -> None:
    see.go("model", registry=REGISTRY, model=MODEL)
    await see.rows("model")
    await see.press("semicolon")
    await see.shows("Scan of", "Scan again")


async def webhooks(see: Driver) -> None:
    see.go("webhooks")
    await see.rows("webhooks")


async def create_webhook(see: Driver) -> None:
    await webhooks(see)
    await see.press("n")
    await see.shows("Create webhook", "Address")


async def webhooks_of_model(see: Driver) -> None:
    see.go("model", registry=REGISTRY, model=MODEL)
    await see.rows("model")
    await see.until(lambda: see.screen.model is not None, "the model")
    await see.press("ctrl+w")
    await see.rows("webhooks")


async def webhook(see: Driver) -> None:
    see.go("webhook", webhook=WEBHOOK)
    await see.rows("webhook")
    await see.shows("Address")


async def delivery(see: Driver) -> None:
    await webhook(see)
    await see.press("enter")
    await see.shows("no answer")


async def attached(see: Driver) -> None:
    see.go("attached")
    await see.rows("attached")
    await see.shows("reads as", "MLflow")


async def attach(see: Driver) -> None:
    await attached(see)
    await see.press("n")
    await see.shows("Attach MLflow server", "Sign in with")


async def change_server(see: Driver) -> None:
    await attached(see)
    await see.press("e")
    await see.shows("Change lab", "as before")


async def detach(see: Driver) -> None:
    await attached(see)
    await see.press("ctrl+d")
    await see.shows("Detach lab", "Nothing depends on it.")


async def promotion_rules(see: Driver) -> None:
    see.go("registry", registry=REGISTRY)
    await see.shows("Workload user name")
    await see.press("percent_sign")
    await see.shows("Who may promote in", "Four eyes")


async def rules(see: Driver) -> None:
    see.go("rules", environment=ENVIRONMENT)
    await see.rows("rules")
    await see.shows("counts: 3 rules")


async def rules_document(see: Driver) -> None:
    await rules(see)
    await see.press("enter")
    await see.shows("Rules number", "requires: ")


async def set_rules(see: Driver) -> None:
    await rules(see)
    await see.press("e")
    await see.shows(f"Rules of {ENVIRONMENT}", "requires: ", "Set rules")


async def go_back(see: Driver) -> None:
    await rules(see)
    await see.press("down", "u")
    await see.shows("Back to rules", "back to number")


async def exceptions(see: Driver) -> None:
    see.go("exceptions", registry=REGISTRY)
    await see.rows("exceptions")
    await see.shows("although a rule refuses it")


async def exception(see: Driver) -> None:
    await exceptions(see)
    await see.press("enter")
    await see.shows("Reason", "Made")


async def create_exception(see: Driver) -> None:
    await exceptions(see)
    await see.press("n")
    await see.shows("Let a version through a rule", "Reason")


async def checked_rules(see: Driver) -> None:
    see.go("model", registry=REGISTRY, model=MODEL)
    await see.rows("model")
    await see.press("percent_sign")
    await see.shows("Rules for", "Exception from", "Reason")


LIFE_CYCLE_SCENES: dict[str, Scene] = {
    "approvals": approvals,
    "approval": approval,
    "decide": decide,
    "ask-approval": ask_approval,
    "stage": stage,
    "scan": scan,
    "promotion-rules": promotion_rules,
    "rules": rules,
    "rules-document": rules_document,
    "set-rules": set_rules,
    "go-back-to-rules": go_back,
    "exceptions": exceptions,
    "exception": exception,
    "create-exception": create_exception,
    "checked-rules": checked_rules,
    "webhooks": webhooks,
    "create-webhook": create_webhook,
    "webhook": webhook,
    "delivery": delivery,
    "attached": attached,
    "attach": attach,
    "change-server": change_server,
    "detach": detach,
}
