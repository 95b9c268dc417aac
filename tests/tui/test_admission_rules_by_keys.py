"""Admission rules on the screens: the verdicts on a version, and the rules of an environment."""

from __future__ import annotations

from registry_tui.app.app import RegistryApp
from registry_tui.schemas.admission import RulesChange
from registry_tui.schemas.models import ModelUpdate, Visibility
from registry_tui.schemas.people import EnvironmentRole, RolesChange, UserChange
from registry_tui.terminal.commands import Place
from support import served
from support.platforms import Platform, unique
from support.program import Driver, Open
from support.workflow_cases import registered_environment

RULES = """\
rules:
  - name: has-signature
    for: [deploy]
    requires: model_signature
"""


async def test_the_pages_show_the_rules_and_what_they_say(open_program: Open, platform: Platform) -> None:
    environment, _, project = registered_environment(platform, synchronized=True, prefix="aa-ruled")
    version = served.register(platform, project).version
    async with open_program(size=(100, 30)) as driver:
        await driver.until(lambda: driver.app.answering, "the service")
        driver.app.jump(Place("model", {"registry": version.registry_id, "model": version.model_id}))
        await driver.shows("● Ready")
        await driver.press("percent_sign")
        await driver.shows("No admission rule", "Every version is admitted")
        await driver.press("escape")
        async with platform.patient_client() as client:
            await client.set_rules(environment, RulesChange(text=RULES, comment="begin"))
        await driver.press("percent_sign")
        await driver.shows(f"Environment {environment} refuses it", "✗ has-signature (deploy)", "→ Log the")
        await driver.press("tab", "tab", "t", "i", "c", "k", "e", "t", "space", "7", "enter")
        await driver.shows(f"version {version.version} passes has-signature")
        await driver.press("percent_sign")
        await driver.shows("1 exception counted", "○ has-signature (deploy)", "excepted by", "ticket 7")
        await driver.press("escape")

        driver.app.jump(Place("environments", {}))
        await driver.rows("environments")
        await driver.on(environment)
        await driver.press("percent_sign")
        await driver.rows("rules")
        await driver.shows("Number 1 counts: 1 rule", "begin")
        await driver.press("V")
        await driver.rows("exceptions")
        await driver.shows("has-signature", "ticket 7", "never")
        await driver.press("e", "end", "space", "a", "g", "a", "i", "n", "enter")
        await driver.at("exceptions")
        await driver.shows("ticket 7 again")
        await driver.press("ctrl+d")
        await driver.shows("End the exception")
        await driver.press("right", "enter")
        await driver.shows("No exceptions")
    async with platform.patient_client() as client:
        found = await client.events(resource=version.id)
    noted = {each.action: each.detail for each in found.items}
    assert noted["version.except"] in ("has-signature: ticket 7", "has-signature: ticket 7 again")
    assert noted["version.end-exception"] == "has-signature: ticket 7 again"


async def test_rules_are_set_and_old_ones_come_back_by_keys(open_program: Open, platform: Platform) -> None:
    environment, _, _ = registered_environment(platform, synchronized=True, prefix="aa-set")
    async with open_program(size=(100, 30)) as driver:
        await driver.until(lambda: driver.app.answering, "the service")
        driver.app.jump(Place("rules", {"environment": environment}))
        await driver.shows("No admission rules", "Every version is admitted")
        await driver.press("e")
        await driver.shows(f"Rules of {environment}", "name: has-signature")
        document = driver.screen.query_one("#document")
        document.text = "rules:\n- name: x\n  for: [deploy]\n  requires: nothing\n"
        driver.screen.query_one("#ok").focus()
        await driver.press("enter")
        await driver.shows("These are not rules", "rule x")
        document.text = RULES
        driver.screen.query_one("#comment").value = "the first"
        driver.screen.query_one("#ok").focus()
        await driver.press("enter")
        # The last of them is the form's own answer, which would take the place of a message that comes before it.
        await driver.shows("Number 1 counts: 1 rule", "the first", "rules number 1 count now")
        await driver.press("u")
        await driver.shows("go back: not now, these are the rules that count now")

        async with platform.patient_client() as client:
            await client.set_rules(environment, RulesChange(text="rules: []", comment="none any more"))
        await driver.shows("Number 2 counts: 0 rules", "none any more")
        await driver.until(lambda: driver.screen.current.number == 1, "the cursor to stay on its row")
        await driver.press("enter")
        await driver.shows("Rules number 1", "requires: model_signature")
        await driver.press("u")
        await driver.shows("Back to rules 1", "back to number 1")
        # Somebody else is first: their change is not lost.
        async with platform.patient_client() as client:
            await client.set_rules(environment, RulesChange(text="rules: []", comment="still none"))
        await driver.press("enter")
        await driver.shows("were changed meanwhile: they have")
        await driver.press("escape")
        await driver.shows("Number 3 counts", "still none")
        await driver.press("u", "enter")
        await driver.shows("Number 4 counts: 1 rule")
    async with platform.patient_client() as client:
        found = await client.rules(environment)
    assert (found.text, found.comment) == (RULES, "back to number 1")


async def test_who_is_no_administrator_reads_the_rules_only(platform: Platform) -> None:
    environment, _, project = registered_environment(platform, synchronized=True, prefix="aa-read")
    version = served.register(platform, project).version
    async with platform.patient_client() as client:
        await client.set_rules(environment, RulesChange(text=RULES, comment="begin"))
        reader = unique("reader")
        await client.put_user(reader, UserChange())
        await client.set_user_roles(
            environment, reader, RolesChange(roles=[EnvironmentRole.ML_ADMIN, EnvironmentRole.ENVIRONMENT_USER])
        )
        await client.update_model(version.registry_id, version.model_id, ModelUpdate(visibility=Visibility.PUBLIC))
    app = RegistryApp(lambda: platform.client(reader), start_platform=False)
    async with app.run_test(size=(100, 30)) as pilot:
        driver = Driver(app, pilot)
        await driver.until(lambda: driver.app.answering, "the service")
        driver.app.jump(Place("rules", {"environment": environment}))
        await driver.rows("rules")
        for key, action in (("e", "edit"), ("V", "exceptions")):
            await driver.press(key)
            await driver.shows(f"{action}: not now, you may not set admission rules")
        driver.app.jump(Place("model", {"registry": version.registry_id, "model": version.model_name}))
        await driver.shows("● Ready")
        await driver.press("percent_sign")
        await driver.shows("✗ has-signature (deploy)")
        assert not driver.screen.query("#reason")
