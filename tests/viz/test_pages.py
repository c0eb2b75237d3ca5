"""The interactive page in a real browser: folding, search, hovering, zoom. Needs playwright and Chromium or Chrome."""

import shutil

import numpy as np
import pytest

from tests.viz.pictures import tower


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright, which drives a browser, is not installed"
    )
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with playwright.sync_playwright() as p:
        try:
            chromium = p.chromium.launch(executable_path=program, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no Chromium can be started: {str(error).splitlines()[0]}")
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, tmp_path):
    """The tower's page at depth 1, offline; fails on any error of its script."""
    errors = []
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.on("pageerror", lambda error: errors.append(error))
    page.set_content(tower().to_html(depth=2, roll=False))
    yield page
    assert errors == []
    context.close()


def test_a_click_folds_a_module_and_another_opens_it(page):
    before = page.locator(".box").count()
    page.locator('.scope[data-path="blocks"] text').click()
    assert page.locator(".box").count() == before - 5
    page.locator(".box.closed", has_text="blocks").click()
    assert page.locator(".box").count() == before


def test_search_opens_the_modules_of_what_it_finds(page):
    page.locator("#less").click()
    assert page.locator(".box[data-id]", has_text="Relu").count() == 0
    page.fill("#search", "blocks.3.relu")
    assert page.locator(".box.hit").count() == 1
    assert page.locator("#found").inner_text() == "1 found"


def test_hovering_tells_the_facts(page):
    page.locator("#less").click()
    page.locator(".box.closed", has_text="first").hover()
    facts = page.locator("#facts")
    assert "16 parameters" in facts.inner_text()


def test_the_wheel_zooms_and_the_mouse_pans(page):
    before = page.locator("#stage").get_attribute("transform")
    page.mouse.move(300, 300)
    page.mouse.wheel(0, -300)
    zoomed = page.locator("#stage").get_attribute("transform")
    page.mouse.down()
    page.mouse.move(350, 340)
    page.mouse.up()
    panned = page.locator("#stage").get_attribute("transform")
    assert len({before, zoomed, panned}) == 3


def test_boxes_do_not_overlap(page):
    page.locator("#more").click()
    boxes = page.locator(".box rect").evaluate_all(
        "rs => rs.map(r => ['x', 'y', 'width', 'height'].map(k => Number(r.getAttribute(k))))"
    )
    x, y, w, h = np.array(boxes).T
    apart = (x[:, None] + w[:, None] <= x) | (x + w <= x[:, None])
    apart |= (y[:, None] + h[:, None] <= y) | (y + h <= y[:, None])
    np.fill_diagonal(apart, True)
    assert apart.all()
