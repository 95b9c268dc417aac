"""Environment → Manage access: the documented procedure by keys, on the real service and object store."""

from __future__ import annotations

from textual.widgets import Input

from registry_tui.schemas.idbroker import SetIdBrokerMappings
from registry_tui.schemas.places import EnvironmentCreate
from registry_tui.schemas.registries import RegistryCreate, RegistryDelete, StorageAccess
from registry_tui.screens.base.form import Lines, Tick
from support.platforms import Platform, unique
from support.program import Open


async def test_mapping_the_machine_user_grants_access_and_removing_it_takes_it_away(
    open_program: Open, platform: Platform
) -> None:
    environment = unique("aa-broker").lower()
    request = EnvironmentCreate(name=environment, raz_enabled=False)
    platform.ask(lambda client: client.create_environment(request))
    wanted = RegistryCreate(environment=environment, grant_storage_access=False)
    made = platform.ask(lambda client: client.create_registry(wanted))
    platform.ask(lambda client: client.wait_for_workflow(made.workflow.id))
    registry = made.resource
    assert registry.machine_user_crn is not None

    def access() -> StorageAccess:
        return platform.ask(lambda client: client.registry(registry.id)).storage_access

    async with open_program() as driver:
        await driver.rows("registries")
        await driver.press("5")
        await driver.rows("environments")
        await driver.on(environment)
        await driver.until(lambda: driver.screen.reason("manage_access") is None)
        await driver.press("@")
        await driver.shows(f"IDBroker mappings of {environment}", "Never synchronized", "Save and Sync")
        form = driver.app.screen
        # Saved without synchronizing, it has no effect.
        form.query_one("#mappings", Lines).text = registry.machine_user_crn
        form.query_one("#sync", Tick).value = False
        form.query_one("#mappings").focus()
        await driver.press("enter")
        await driver.at("environments")
        assert access() is StorageAccess.NOT_GRANTED
        await driver.press("@")
        await driver.shows("NEVER_RUN", "changes have no")
        assert driver.app.screen.query_one("#mappings", Lines).text == registry.machine_user_crn
        # Somebody else's changes meanwhile are not overwritten unseen.
        now = platform.ask(lambda client: client.idbroker_mappings(environment))
        with_others = SetIdBrokerMappings(
            environment_name=environment,
            data_access_role=now.data_access_role,
            ranger_audit_role=now.ranger_audit_role,
            ranger_cloud_access_authorizer_role=now.data_access_role,
            mappings=[],
            set_empty_mappings=True,
        )
        platform.ask(lambda client: client.set_idbroker_mappings(with_others))
        platform.command("idbroker", "set", environment, "--empty")
        driver.app.screen.query_one("#mappings").focus()
        await driver.press("enter")
        await driver.shows("somebody changed the mappings meanwhile", "Mapped now:", "nobody")
        assert driver.app.screen.query_one("#mappings", Lines).text == registry.machine_user_crn
        await driver.until(lambda: not driver.app.screen.query_one("#ok").disabled, "OK")
        driver.app.screen.query_one("#mappings").focus()
        await driver.press("enter")
        await driver.at("environments")
        assert access() is StorageAccess.GRANTED
        # Neither the command nor the form takes away roles that they do not ask about.
        kept = platform.ask(lambda client: client.idbroker_mappings(environment))
        assert kept.ranger_cloud_access_authorizer_role == now.data_access_role
        # A list without mappings has to be confirmed; a refusal of the service stays in the form.
        await driver.press("@")
        await driver.shows(f"IDBroker mappings of {environment}", "Synchronized")
        form = driver.app.screen
        role = form.query_one("#access", Input).value
        form.query_one("#access", Input).value = "admin"
        form.query_one("#mappings").focus()
        await driver.press("enter")
        await driver.until(lambda: form.query_one("#problem").display, "the refusal")
        await driver.shows("dataAccessRole")
        form.query_one("#access", Input).value = role
        form.query_one("#mappings", Lines).text = ""
        await driver.until(lambda: form.query_one("#ok").disabled)
        form.query_one("#empty", Tick).value = True
        await driver.until(lambda: not form.query_one("#ok").disabled)
        form.query_one("#mappings").focus()
        await driver.press("enter")
        await driver.at("environments")
        assert access() is StorageAccess.NOT_GRANTED
    gone = platform.ask(lambda client: client.delete_registry(registry.id, RegistryDelete(delete_archives=True)))
    platform.ask(lambda client: client.wait_for_workflow(gone.workflow.id))
    platform.ask(lambda client: client.delete_environment(environment))
