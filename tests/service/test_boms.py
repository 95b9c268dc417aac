"""The components of a version: its bill of materials, and the search for versions by it."""

from __future__ import annotations

import json

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from support import served
from support.platforms import Platform, unique


def test_a_version_has_a_bill_of_materials_that_is_found_by_what_is_in_it(platform: Platform) -> None:
    name = unique("made-of")
    made = served.register(platform, platform.new_project(), requirements=f"{name}==1.4.2\nother>=3\n")
    model, number = made.version.model_name, made.version.version
    bom = platform.ask(lambda client: client.bom(made.registry, model, number))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bom.document)) is None
    packages = {each["name"]: each for each in bom.document["components"] if each["type"] == "library"}
    assert packages[name]["purl"] == f"pkg:pypi/{name}@1.4.2"
    assert "version" not in packages["other"]
    printed = platform.command("models", "bom", model, str(number), "--registry", made.registry)
    assert json.loads(printed.stdout) == bom.document

    def found(*uses: str) -> list[tuple[str, int]]:
        page = platform.ask(lambda client: client.versions_using(list(uses)))
        return [(each.model_name, each.version) for each in page.items]

    assert found(f"{name}<2") == found(name) == found(f"{name.upper()}<2", "other") == [(model, number)]
    assert found(f"{name}>=2") == found(f"{name}<2", "other<3") == found(f"dataset:{name}") == []
    listed = platform.command("models", "search", "--uses", f"{name}<2")
    assert f"{name}==1.4.2" in listed.stdout
    platform.ask(lambda client: client.make_bom(made.registry, model, number))
    again = platform.ask(lambda client: client.bom(made.registry, model, number))
    assert again.document["version"] == 2
    assert found(f"{name}<2") == [(model, number)]
    platform.ask(lambda client: client.delete_version(made.registry, model, number))
    assert found(name) == []
