"""Admission rules on the screens: what they say of a version, and the rules of an environment."""

from __future__ import annotations

from registry_tui.schemas.admission import RulesChange
from registry_tui.terminal.commands import Place
from support import served
from support.platforms import Platform
from support.program import Open
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
        await driver.press("escape")

        driver.app.jump(Place("environments", {}))
        await driver.rows("environments")
        await driver.on(environment)
        await driver.press("percent_sign")
        await driver.shows(f"rules of {environment}", "has-signature", "Number 1", "begin", "registry-tui rules set")
