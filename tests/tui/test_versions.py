"""A model's versions by keys on a real service: the panel's content, differences, saving an archive."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from registry_tui.client import RegistryClient, ServiceProblem
from registry_tui.schemas.models import Tag, VersionUpdate
from registry_tui.terminal.commands import Place
from support.platforms import Platform
from support.program import Driver, Open
from support.registered import object_store
from support.served import Served, deploy, register, split


@pytest.fixture(scope="module")
def two(platform: Platform) -> Served:
    project = platform.new_project()
    first = register(platform, project, add=1, example=split(a=[1.0], b=[2.0]))
    return register(platform, project, first.version.model_name, add=2, requirements="mlflow\nnumpy\n")


async def go(driver: Driver, two: Served) -> None:
    await driver.until(lambda: driver.app.answering, "the service")
    driver.app.jump(Place("model", {"registry": two.registry, "model": two.version.model_name}))
    assert [row.version for row in await driver.rows("model")] == [2, 1]


async def test_the_panel_tells_deployments_and_requirements(
    open_program: Open, platform: Platform, two: Served
) -> None:
    deployment = deploy(platform, two, version=1)
    async with open_program(size=(150, 44)) as driver:
        await go(driver, two)
        await driver.shows("Deployed", deployment.name)
        await driver.press("down", "enter")
        await driver.shows("Version 1", "● deployed", "Requirements", "mlflow", "No signature")
        await driver.press("X")
        await driver.at("experiment")
        await driver.press("escape")
        await driver.at("model")


async def test_two_marked_versions_are_compared(open_program: Open, two: Served) -> None:
    async with open_program(size=(130, 40)) as driver:
        await go(driver, two)
        assert "mark two versions" in str(driver.screen.reason("diff"))
        await driver.press("space", "space")
        await driver.press("equals_sign")
        await driver.shows("version 1", "version 2", "requirement", "numpy", "requirements.txt")
        differing = driver.text
        await driver.press("x")
        await driver.until(lambda: driver.text != differing and "READY" in driver.text, "the equal lines too")
        await driver.press("escape")
        await driver.at("model")


def test_versions_are_found_by_number_status_and_words(platform: Platform, two: Served) -> None:
    registry, name = two.registry, two.version.model_name

    async def change(client: RegistryClient) -> None:
        tags = [Tag(key="stage", value="Candidate")]
        await client.update_version(registry, name, 1, VersionUpdate(notes="The OLD split_100%", set_tags=tags))
        await client.set_alias(registry, name, "shadow", 2)

    platform.ask(change)

    def found(**asked: str) -> list[int]:
        page = platform.ask(lambda client: client.versions(registry, name, **asked))
        return [each.version for each in page.items]

    for search, expected in {
        "1": [1],
        "v2": [2],
        "old SPLIT": [1],
        "t_100%": [1],
        "candidate": [1],
        "stage": [1],
        "shad": [2],
        two.version.creator: [2, 1],
        "registry_tui": [],
        "nothing of that": [],
    }.items():
        assert found(search=search) == expected, search
    assert found(search=two.version.origin.run_id or "") == [2]
    assert found(status="READY") == [2, 1] and found(status="FAILED_REGISTRATION") == []
    assert found(status="READY", search="1") == [1]
    first = platform.ask(lambda client: client.versions(registry, name, search=two.version.creator, page_size=1))
    with pytest.raises(ServiceProblem):  # a token continues its own request only
        platform.ask(lambda client: client.versions(registry, name, page_token=first.next_page_token))
    platform.ask(lambda client: client.delete_alias(registry, name, "shadow"))


async def test_the_list_of_versions_is_filtered_by_keys(open_program: Open, two: Served) -> None:
    async with open_program() as driver:
        await go(driver, two)
        await driver.press("slash")
        await driver.type("v1")
        await driver.until(lambda: [row.version for row in driver.screen.table.source.loaded_rows()] == [1], "one row")
        await driver.press("escape")
        await driver.until(lambda: driver.app.focused is driver.screen.table, "the list has the keys")
        await driver.press("slash", "backspace", "backspace")
        await driver.until(lambda: len(driver.screen.table.source.loaded_rows()) == 2, "both rows")
        await driver.type("zzz")
        await driver.shows("Nothing matches")


async def test_an_alias_is_set_and_taken_away(open_program: Open, platform: Platform, two: Served) -> None:
    def aliases() -> dict[str, int]:
        return platform.ask(lambda client: client.model(two.registry, two.version.model_name)).aliases

    async with open_program() as driver:

        def has(expected: dict[str, int]) -> bool:
            return aliases() == expected

        def shows(expected: dict[str, int]) -> bool:
            return bool(driver.screen.table.source.row(0).aliases == list(expected))

        await go(driver, two)
        for expected in ({"champion": 2}, {}):
            await driver.press("A")
            await driver.until(lambda: driver.app.screen.query("#alias"), "the form")
            await driver.type("champion")
            await driver.press("enter")
            await driver.until(partial(has, expected), str(expected))
            await driver.at("model")
            await driver.until(partial(shows, expected), "the row")


async def test_verifying_shows_how_far_it_is_and_what_is_wrong(
    open_program: Open, platform: Platform, two: Served
) -> None:
    version = platform.ask(lambda client: client.version(two.registry, two.version.model_name, 2))
    bucket, _, prefix = (version.archive_uri or "").removeprefix("s3://").partition("/")
    store, key = object_store(platform), f"{prefix}files/requirements.txt"
    async with open_program(size=(130, 40)) as driver:
        await go(driver, two)
        await driver.press("enter", "v")
        await driver.shows("all as stored")
        await driver.at("model")
        await driver.until(lambda: driver.screen.current.verified_at > version.verified_at, "when it was read last")
        store.put_object(Bucket=bucket, Key=key, Body=b"other\n")
        await driver.press("v")
        await driver.shows("is not as it was stored", "1 changed: requirements.txt", "Verify again", "Register the")
        store.put_object(Bucket=bucket, Key=key, Body=b"mlflow\nnumpy\n")
        await driver.press("escape")
        await driver.at("model")
        await driver.shows("Checked      ✗ 1 changed: requirements.txt")
        driver.app.jump(Place("activity"))
        await driver.rows("activity")

        def looks() -> list[str]:
            # Others work at the same time.
            rows = driver.screen.table.source.loaded_rows()
            return [row.kind for row in rows if row.resource_id in (version.id, version.model_id)]

        await driver.until(lambda: looks()[:2] == ["verify", "verify"], "both looks at the archive")
    assert platform.ask(lambda client: client.verify_archive(two.registry, version.model_name, 2)).sound


async def test_an_archive_is_saved_and_never_over_another(
    open_program: Open, two: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_program() as driver:
        await go(driver, two)
        await driver.press("d")
        await driver.shows("Download", "-v2")
        await driver.press("enter")
        saved = tmp_path / f"{two.version.model_name}-v2"
        await driver.until(lambda: (saved / "requirements.txt").is_file(), "the archive")
        await driver.at("model")
        assert (saved / "requirements.txt").read_text() == "mlflow\nnumpy\n"
        await driver.press("d")
        await driver.until(lambda: driver.app.screen.query_one("#ok").disabled, "OK not possible")
        await driver.press("enter")
        await driver.shows("it already exists")
