"""The rules of promotion of a registry, and an approval for a purpose with a name, by keys."""

from __future__ import annotations

from textual.widgets import TextArea

from registry_tui.app.app import RegistryApp
from registry_tui.schemas.people import EnvironmentRole, RolesChange, UserChange
from registry_tui.schemas.stages import Stage
from registry_tui.terminal.commands import Place
from support import served
from support.platforms import Platform, unique
from support.program import Driver, Open
from support.workflow_cases import registered_environment


async def test_aliases_and_stages_are_protected_by_keys(open_program: Open, platform: Platform) -> None:
    environment, _, project = registered_environment(platform, synchronized=True)
    version = served.register(platform, project).version
    user = unique("mover")
    async with platform.patient_client() as client:
        await client.put_user(user, UserChange())
        roles = RolesChange(roles=[EnvironmentRole.ML_USER, EnvironmentRole.ENVIRONMENT_USER])
        await client.set_user_roles(environment, user, roles)
    async with open_program(size=(80, 24)) as driver:
        await driver.until(lambda: driver.app.answering, "the service")
        driver.app.jump(Place("registry", {"registry": version.registry_id}))
        await driver.shows("Workload user name")
        await driver.press("percent_sign")
        await driver.shows("Who may promote in", "Four eyes")
        aliases = driver.screen.query_one("#aliases", TextArea)
        aliases.text = "champion: nobody-here"
        driver.screen.query_one("#ok").focus()
        await driver.press("enter")
        await driver.shows("unknown: nobody-here")
        aliases.text = f"champion: {user}"
        driver.screen.query_one("#production").value = True
        driver.screen.query_one("#ok").focus()
        await driver.press("enter")
        await driver.shows("the rules of promotion are set")

        driver.app.jump(Place("model", {"registry": version.registry_id, "model": version.model_name}))
        await driver.shows("● Ready")
        await driver.press("ampersand")
        await driver.shows("Ask for approval of")
        driver.screen.query_one("#purpose").value = "deploy"
        driver.screen.query_one("#name").value = "canary"
        driver.screen.query_one("#ok").focus()
        await driver.press("enter")
        await driver.shows("asked whether it may deploy canary")
    async with platform.patient_client() as client:
        rules = await client.promotion_rules(version.registry_id)
        asked = await client.approvals(version_id=version.id)
    assert [(each.alias, each.users) for each in rules.protected_aliases] == [("champion", [user])]
    assert rules.approved_stages == [Stage.PRODUCTION] and rules.four_eyes
    assert [each.purpose for each in asked.items] == ["deploy:canary"]

    app = RegistryApp(lambda: platform.client(user), start_platform=False)
    async with app.run_test(size=(80, 24)) as pilot:
        driver = Driver(app, pilot)
        await driver.until(lambda: driver.app.answering, "the service")
        driver.app.jump(Place("registry", {"registry": version.registry_id}))
        await driver.shows("Workload user name")
        await driver.press("percent_sign")
        await driver.shows("promotion rules: not now, you may not protect aliases")
