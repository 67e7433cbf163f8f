"""The page of `--vigor-report` in a real browser: at desktop and phone widths, light and dark, and on paper."""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs apt-get install chromium chromium-driver")

ROOT = Path(__file__).parent.parent
WIDTHS = {"desktop": 1280, "phone": 390}
SCHEMES = ("light", "dark")

# The contrast ratio of WCAG 2.2 (success criterion 1.4.3) of each text with what is behind it.
CONTRASTS = """
const channel = (value) => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
const luminance = ([r, g, b]) =>
  0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    if (at instanceof SVGGElement && at.querySelector(":scope > rect")) {
      return parse(getComputedStyle(at.querySelector(":scope > rect")).fill);
    }
    const color = parse(getComputedStyle(at).backgroundColor);
    if (color.length === 3 || color[3] === 1) return color;
  }
  return parse(getComputedStyle(document.body).backgroundColor);
};
const out = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || element.closest("script, title, option")) continue;
  const style = getComputedStyle(element);
  const one = luminance(parse(element instanceof SVGElement ? style.fill : style.color));
  const other = luminance(behind(element));
  const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  out.push([ratio, walker.currentNode.data.trim().slice(0, 40)]);
}
return out.sort((a, b) => a[0] - b[0]).slice(0, 3);
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A report with a property of each verdict, made by a process of its own."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("bridge", "policer"):
        shutil.copytree(ROOT / "nfs" / name, folder / "nfs" / name, ignore=shutil.ignore_patterns("*.so", ".vigor"))
    source = folder / "nfs/bridge/bridge.c"
    before, _, after = source.read_text().rpartition("return output == device ? NF_DROP : (int) output;")
    source.write_text(before + "return (int) output;" + after)
    (folder / "test_claims.py").write_text(
        """
import pytest
from pytest_vigor import assume

BOTH = pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.nf(n)) for n in ("bridge", "policer")])

@BOTH
def test_memory(step, name):
    "Every access stays inside the memory that it is meant for."
    assert step.respects("memory")

@BOTH
def test_no_loop(step, name):
    "IEEE 802.1Q §8.6.1: nothing is ever sent on the receiving device."
    assert not step.sent_to(step.device)

@pytest.mark.nf("policer")
def test_nothing(step):
    assume(step.packet.length > 2000)
    assert step.dropped

@pytest.mark.nf("nowhere")
def test_elsewhere(step):
    assert step.dropped
"""
    )
    command = [sys.executable, "-m", "pytest", "--vigor", "-q", "--vigor-report", "out", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    yield folder / "out/index.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield driver
    driver.quit()


def look(browser: Any, page: Path, width: str = "desktop", scheme: str = "light") -> None:
    """Opens the page as on such a device."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": WIDTHS[width], "height": 900, "deviceScaleFactor": 1, "mobile": width == "phone"},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    browser.get(page.as_uri())


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out_and_everything_can_be_read(browser: Any, page: Path, width: str, scheme: str) -> None:
    look(browser, page, width, scheme)
    across = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert across == [WIDTHS[width], WIDTHS[width]]
    browser.execute_script("for (const each of document.querySelectorAll('details')) each.open = true")
    weakest = browser.execute_script(CONTRASTS)
    assert weakest[0][0] >= 4.5, weakest
    assert browser.execute_script("return document.querySelectorAll('h1').length") == 1
    small = browser.execute_script(
        "return [...document.querySelectorAll('p, td, th, li, dd, a')]"
        ".map(each => parseFloat(getComputedStyle(each).fontSize))"
    )
    assert min(small) >= 12


def test_dark_is_dark_and_light_is_light(browser: Any, page: Path) -> None:
    seen = {}
    for scheme in SCHEMES:
        look(browser, page, scheme=scheme)
        seen[scheme] = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert seen == {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}


def test_the_page_loads_nothing_and_says_nothing_on_the_console(browser: Any, page: Path) -> None:
    look(browser, page)
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def test_every_verdict_is_in_words_and_links_lead_to_failures(browser: Any, page: Path) -> None:
    look(browser, page)
    badges = {each.text.split()[-1] for each in browser.find_elements("css selector", "td .badge")}
    assert badges == {"Proved", "Refuted", "Vacuous", "Error"}
    dead = browser.execute_script(
        "return [...document.querySelectorAll('a[href^=\"#\"]')]"
        ".filter(a => !document.getElementById(decodeURIComponent(a.hash.slice(1)))).map(a => a.hash)"
    )
    assert dead == []


def test_choosing_a_property_shows_the_paths_it_looked_at(browser: Any, page: Path) -> None:
    from selenium.webdriver.support.ui import Select

    look(browser, page)
    select = browser.find_element("css selector", 'select[data-nf="policer"]')
    tree = browser.find_element("css selector", 'svg[data-tree="policer"]')
    leaves = len(tree.find_elements("css selector", ".leaf"))
    Select(select).select_by_visible_text("test_memory[policer]")
    assert len(tree.find_elements("css selector", ".leaf.looked")) == leaves > 1
    Select(select).select_by_visible_text("test_nothing")
    assert tree.find_elements("css selector", ".leaf.looked") == []
    assert "filtered" in tree.get_attribute("class")
    Select(select).select_by_visible_text("all")
    assert "filtered" not in tree.get_attribute("class")


def test_texts_of_the_tree_stay_in_their_boxes(browser: Any, page: Path) -> None:
    look(browser, page)
    outside = browser.execute_script(
        "return [...document.querySelectorAll('svg .box text')].filter(text => {"
        "  const box = text.parentNode.querySelector('rect').getBoundingClientRect();"
        "  const own = text.getBoundingClientRect();"
        "  return own.right > box.right + 1 || own.bottom > box.bottom + 1;"
        "}).map(text => text.textContent)"
    )
    assert outside == []


def test_the_keyboard_reaches_what_scrolls(browser: Any, page: Path) -> None:
    look(browser, page, "phone")
    unreachable = browser.execute_script(
        "return [...document.querySelectorAll('.scroll')]"
        ".filter(e => e.tabIndex < 0 || !(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby'))).length"
    )
    assert unreachable == 0


def test_on_paper_everything_is_unfolded(browser: Any, page: Path) -> None:
    look(browser, page)
    browser.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.execute_script("return document.querySelectorAll('details:not([open])').length") == 0
    browser.execute_script("window.dispatchEvent(new Event('afterprint'))")
    assert browser.execute_script("return document.querySelectorAll('details:not([open])').length") > 0
    printed = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    assert printed.startswith(b"%PDF") and len(printed) > 20_000
