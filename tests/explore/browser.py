"""A real browser, where one is installed: load a page, act on it, and read what it says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next((found for name in NAMES if (found := shutil.which(name))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason=f"no browser: none of {', '.join(NAMES)} is installed")

HARNESS = """<script>
const errors = [];
window.addEventListener("error", e => errors.push(e.message));
const press = (key, target = document.body) => target.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
const click = id => document.getElementById(id).click();
const type = (element, value) => { element.value = value; element.dispatchEvent(new Event("input", {bubbles: true})); element.dispatchEvent(new Event("change", {bubbles: true})); };
const tell = found => { const box = document.createElement("pre"); box.id = "found"; box.textContent = JSON.stringify(found); document.body.append(box); };
const text = id => document.getElementById(id).textContent;
</script>"""


def act(tmp_path, page, script, address="", width=1000):
    """The object that ``script`` returns, run in the page; errors of the page fail the test."""
    ran = f"(() => {{ try {{ return (() => {{ {script} }})(); }} catch (e) {{ errors.push(String(e)); }} }})()"
    run = f"<script>{{ const r = {ran}; tell({{r, errors}}); }}</script>"
    file = tmp_path / "page.html"
    file.write_text(page.replace("<head>", f"<head>{HARNESS}", 1).replace("</body>", f"{run}</body>"), encoding="utf-8")
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={tmp_path / 'profile'}",
        f"--window-size={width},900", "--virtual-time-budget=3000", "--dump-dom", f"file://{file}{address}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    held = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert held, done.stderr[-2000:]
    answer = json.loads(held[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert not answer["errors"], answer["errors"]
    return answer.get("r")


def assert_self_contained(page):
    """No address of another file or server in it, but the namespace-free drawing."""
    assert not re.search(r"""(?:src|href)\s*=|@import|url\(|https?://|fetch\(|XMLHttp""", page)
