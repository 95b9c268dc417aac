"""Signs in at `oidc-provider`, a certified OpenID provider; needs Node.js with npm.

`python tests/compatibility/certified_issuer.py` installs it into `.compatibility/oidc-provider`. A person's browser is
played by the forms of the provider's pages.
"""

from __future__ import annotations

import html
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from registry_tui.service.core import identity  # noqa: E402
from support.device_sign_ins import administer, login  # noqa: E402
from support.lone_doors import lone_door, really  # noqa: E402
from support.team import Machine, free_port  # noqa: E402

VERSION = "9.13.3"
FOLDER = ROOT / ".compatibility" / "oidc-provider"
#: Person, whether they allow the sign-in, and the words that have to be in the end of it.
SIGN_INS = (("ada", True, "as ada"), ("ada", False, "denied"), ("eve", True, "There is no user 'eve'"))


@contextmanager
def provider() -> Iterator[str]:
    """The provider's address while it runs."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not (FOLDER / "node_modules" / "oidc-provider").is_dir():
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", f"oidc-provider@{VERSION}"], cwd=FOLDER, check=True
        )
    program = FOLDER / "server.mjs"
    program.write_text(Path(__file__).with_suffix(".mjs").read_text())
    port = free_port()
    command = ["node", str(program), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.strip() == "listening":
                    break
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def answer(address: str, person: str, allow: bool) -> None:
    """Fills in and sends the forms of the provider's pages, until there are none."""
    with httpx.Client(follow_redirects=True, trust_env=False) as browser:
        page = browser.get(address)
        while (action := re.search(r'action="([^"]+)"', page.text)) and "interrupted" not in page.text:
            fields = dict(re.findall(r'<input[^>]*name="(\w+)"[^>]*value="([^"]*)"', page.text))
            fields.pop("abort", None)
            if 'name="login"' in page.text:
                fields |= {"login": person, "password": "x", "prompt": "login"}
            elif not allow and 'value="yes"' in page.text:
                fields["abort"] = "yes"
            page = browser.post(page.url.join(html.unescape(action[1])), data=fields)


def main() -> int:
    """Signs in as each of `SIGN_INS`; 1 when one ends otherwise."""
    wrong = 0
    with provider() as url, tempfile.TemporaryDirectory() as name, lone_door(Path(name)) as door:
        door.parts["service"].handler = really(door.service)
        administer(door, "set", "--issuer", url, "--client-id", "registry-tui")
        identity.ensure_user(door.service, "ada")
        for number, (person, allow, words) in enumerate(SIGN_INS):
            folder = Path(name) / f"machine-{number}"
            folder.mkdir()
            with login(Machine(folder), door.url) as waiting:
                answer(waiting.address(), person, allow)
                status, printed = waiting.ended()
            good = words in printed and (status == 0) is (words == "as ada")
            wrong += not good
            print(
                f"{'ok   ' if good else 'WRONG'} {person} {'allows' if allow else 'denies'}: {printed.splitlines()[-1]}"
            )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
