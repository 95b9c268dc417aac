"""The real command previews an image: in kitty's own way, in sixels, or in half blocks, as the terminal is."""

from __future__ import annotations

import re
import sys
from io import BytesIO

import pytest
from PIL import Image

from support.platforms import Platform, wait_for
from support.registered import mlflow_client
from support.served import register
from support.sixel import pixels
from support.terminal import terminal

PROGRAM = [sys.executable, "-m", "registry_tui"]


@pytest.mark.parametrize("kind", ["xterm-kitty", "foot", "xterm-256color"])
def test_an_image_among_the_artifacts(platform: Platform, kind: str) -> None:
    project = platform.new_project()
    run = register(platform, project, add=1).version.origin.run_id
    data = BytesIO()
    Image.new("RGB", (300, 200), "teal").save(data, "PNG")
    with mlflow_client(platform.ask(lambda client: client.credentials(project.id))) as http:
        info = http.get("/api/2.0/mlflow/runs/get", params={"run_id": run}).raise_for_status().json()["run"]["info"]
        folder = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
        url = f"/api/2.0/mlflow-artifacts/artifacts/{folder}/plot.png"
        http.put(url, content=data.getvalue()).raise_for_status()
    environment = {**platform.environment(), "COLORTERM": "truecolor"}
    with terminal(PROGRAM, environment, 120, 36, kind, (10, 20)) as screen:
        screen.shows("registry-local", "Available")
        screen.press(":")
        screen.shows("Go, do, find")
        screen.press(f"project {project.name}\r")
        screen.shows("Experiments", "experiment-")
        screen.press("enter")
        screen.shows("finished" if info["status"] == "FINISHED" else "running")
        screen.press("enter")
        screen.shows("Overview", "Status")
        screen.press("tab", "tab")
        screen.shows("plot.png", "Flavours")
        screen.press("down")
        if kind == "xterm-kitty":
            wait_for(lambda: b"\x1b_Ga=T,q=2,U=1,f=100," in screen.written, what="the image")
            wait_for(lambda: "\U0010eeee\u0305\u0305".encode() in screen.written, what="its cells")
            assert "▀".encode() not in screen.written
            sent = re.search(rb"\x1b_Ga=T,q=2,U=1,f=100,i=(\d+),c=(\d+),r=(\d+)", screen.written)
            assert sent is not None and (sent[2], sent[3]) == (b"34", b"11")
            red, green, blue = int(sent[1]).to_bytes(3, "big")
            row = "".join(f"\U0010eeee\u0305{mark}" for mark in "\u0305\u030d\u030e")
            cells = rf"38;2;{red};{green};{blue}(;[\d;]+)?m{row}"
            assert re.search(cells.encode(), screen.written), "the cells have the image's number as their colour"
            screen.press("up")
            wait_for(lambda: b"\x1b_Ga=d,d=I,q=2," in screen.written, what="it to be forgotten")
        elif kind == "foot":
            sixels = re.compile(rb"\x1b\[\d+;\d+H(\x1bP.*?\x1b\\)", re.DOTALL)
            drawn = wait_for(lambda: sixels.search(screen.written), what="the image")
            width, height, found = pixels(drawn[1].decode())
            assert (width, height, len(found)) == (340, 220, 340 * 220)
            assert set(found.values()) == {(0, 50, 50)}, "teal, in hundredths"
            assert "\U0010eeee".encode() not in screen.written and "▀".encode() not in screen.written
        else:
            screen.shows("▀▀▀▀")
            assert b"\x1b_G" not in screen.written
        screen.press("ctrl+q")
        assert screen.ended() == 0
