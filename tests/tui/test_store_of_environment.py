"""An environment with a store of its own, made, tried and changed by keys on the real service."""

from __future__ import annotations

from pathlib import Path

from textual.widgets import Button, Input, Select

from registry_tui.screens.base.form import Tick
from registry_tui.screens.base.viewer import View
from support import secret_search
from support.other_stores import BUCKET, moto
from support.platforms import Platform, unique
from support.program import Open


async def test_an_environment_is_made_with_a_bucket_that_was_tried(open_program: Open, platform: Platform) -> None:
    name, secret = unique("own"), secret_search.hidden()
    with moto() as aws:
        async with open_program() as driver:
            await driver.rows("registries")
            await driver.press("5")
            await driver.rows("environments")
            await driver.press("n")
            await driver.shows("Create environment")
            form = driver.screen
            values = {"name": name, "store": f"s3://{BUCKET}/{name}", "endpoint": aws.endpoint, "secret": secret}
            for field, value in (values | {"access-key-id": "AKIAACME"}).items():
                form.query_one(f"#{field}", Input).value = value
            form.query_one("#s3-way", Select).value = "key"
            await driver.until(lambda: not form.query_one("#ok", Button).disabled, "what is typed")
            # In another region: reported by the trial and by the service alike, and nothing is made.
            form.query_one("#try", Button).press()
            await driver.shows("cannot be used", f"Set the region to {aws.region}")
            form.query_one("#ok", Button).press()
            await driver.until(lambda: form.query_one("#problem").display, "the refusal")
            assert f"is in the region {aws.region}" in " ".join(driver.text.split())
            form.query_one("#region", Input).value = aws.region
            form.query_one("#ok", Button).press()
            await driver.at("environments")
            found = platform.ask(lambda client: client.environment(name))
            assert found.store is not None and found.store.usable and found.store.checked_at is not None
            assert secret not in found.model_dump_json() + driver.text
        platform.command("environments", "delete", name, "--yes")


async def test_the_store_of_an_environment_is_shown_and_tried(
    open_program: Open, platform: Platform, tmp_path: Path
) -> None:
    # First by name: the shared platform may have more environments than a page shows.
    name = unique("aa-own")
    platform.command("environments", "create", name, "--bucket", str(tmp_path))
    async with open_program() as driver:
        await driver.rows("registries")
        await driver.press("5")
        await driver.rows("environments")
        await driver.on(name)
        await driver.until(lambda: driver.screen.query_one("#own-store").display, "the store")
        await driver.press("r")
        await driver.until(lambda: isinstance(driver.screen, View), "what was found")
        assert "can be used (tried just now)" in driver.screen.text and str(tmp_path) in driver.screen.text
        await driver.press("escape")
        await driver.at("environments")
        await driver.press("e")
        await driver.shows(f"Store of {name}")
        driver.screen.query_one("#artifacts", Tick).value = False
        driver.screen.query_one("#ok", Button).press()
        await driver.at("environments")
    platform.command("environments", "delete", name, "--yes")
