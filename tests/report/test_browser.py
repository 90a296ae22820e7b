"""The page in a real browser: what a reader does with it, and what no case id may do to it."""

import os
import shutil

import pytest
from make_comparison import HOSTILE, MODELS, comparison, view

from segrisk.report.results import Model
from segrisk.report.write import PAGE, write_report

api = pytest.importorskip("playwright.sync_api", reason="Playwright for Python is not installed")
BROWSERS = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in BROWSERS if name and (found := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium: install one, or name it in CHROMIUM"
)

ROWS = "#rows tbody tr:not(.space)"
FIVE = tuple(Model(f"m{index}", f"Model {index}", "other") for index in range(5))


@pytest.fixture(scope="module")
def browser():
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The address of the page with everything on it."""
    folder = tmp_path_factory.mktemp("report")
    write_report(comparison(), folder, view)
    return (folder / PAGE).as_uri()


@pytest.fixture
def page(browser, report):
    """The page, opened and watched: it may neither ask for anything nor complain."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    heard, asked = [], []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report)
    page.wait_for_selector("html[data-ready]")
    yield page
    page.wait_for_timeout(100)
    page.close()
    assert heard == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def eventually(page, check):
    """Wait until `check()` holds: the page's policy forbids to evaluate text in it."""
    for _ in range(100):
        if check():
            return
        page.wait_for_timeout(30)
    raise AssertionError("it did not happen within three seconds")


def column(page, number):
    return [row.strip() for row in page.locator(f"{ROWS} td:nth-child({number})").all_inner_texts()]


def test_the_page_asks_for_nothing_and_every_chart_becomes_interactive(page):
    for chart in page.locator(".chart[data-chart]").all():
        chart.scroll_into_view_if_needed()
        chart.locator(".vega-embed svg").wait_for()
    assert page.locator(".chart").count() == page.locator(".chart .vega-embed").count() == 2


def test_names_with_markup_are_shown_as_text(page):
    assert page.evaluate("window.hacked") is None
    page.fill("#case-search", "onerror")
    assert column(page, 1) == [HOSTILE]
    assert page.locator("#rows img").count() == page.locator("#rows script").count() == 0
    assert page.locator(".chip", has_text="<b>B</b> & co").count() == 1
    page.locator("summary", has_text="Provenance").click()
    assert HOSTILE.replace("'", "\\'") in page.locator("pre").inner_text().replace("'", "\\'")


def test_a_click_on_a_column_sorts_by_it_and_a_second_turns_it_round(page):
    spread = [float(text) for text in column(page, 7)]
    assert spread == sorted(spread, reverse=True)
    page.locator("#rows th", has_text="Model A").locator("button").click()
    down = [float(text) for text in column(page, 4)]
    assert down == sorted(down, reverse=True)
    page.locator("#rows th", has_text="Model A").locator("button").press("Enter")
    up = [float(text) for text in column(page, 4)]
    assert up == sorted(up) and up[0] < down[0]
    assert page.locator("#rows th", has_text="Model A").get_attribute("aria-sort") == "ascending"


def test_filters_by_name_group_and_spread(page):
    page.fill("#case-search", "CASE-0041")
    assert column(page, 1) == ["case-0041"] and column(page, 2) == ["patient 20"]
    assert page.locator("#case-count").inner_text() == "1 of 60 cases"
    page.fill("#case-search", "patient 20")
    assert sorted(column(page, 1)) == ["case-0040", "case-0041"]
    page.fill("#case-search", "")
    page.fill("#case-spread", "0.9")
    assert sorted(column(page, 1)) == ["case-0005", "case-0006"]


def test_the_table_has_every_label_and_metric(page):
    before = column(page, 4)
    page.select_option("#case-task", label="ct, tumour")
    assert column(page, 4) != before
    page.select_option("#case-metric", "hd95_mm")
    assert all(len(text.partition(".")[2]) == 2 for text in column(page, 4))
    assert page.locator(f"{ROWS}").first.locator("td.top").inner_text() == column(page, 4)[0]


def test_scrolling_draws_other_rows(page):
    first = column(page, 1)[0]
    page.locator("#rows").focus()
    page.keyboard.press("End")
    eventually(page, lambda: first not in column(page, 1))
    assert page.locator(ROWS).count() < 60


def test_slices_are_moved_by_slider_and_keys(page):
    box = page.locator(".view").first
    slider, path = box.locator("input[type=range]"), box.locator("path.model").first
    at = int(slider.input_value())
    shape = path.get_attribute("d")
    assert box.locator("output").inner_text() == f"slice {at + 1} of 6"
    slider.press("ArrowRight")
    assert int(slider.input_value()) == at + 1 and path.get_attribute("d") != shape
    assert box.locator("use").first.get_attribute("y") == str(-(at + 1) * 40)
    box.locator(".panels").press("ArrowDown")
    assert int(slider.input_value()) == at and path.get_attribute("d") == shape
    slider.fill("0")
    assert box.locator("output").inner_text() == "slice 1 of 6"
    box.get_by_label("outlines").uncheck()
    assert not path.is_visible()


def test_a_model_without_a_mask_says_so(page):
    assert (
        page.locator(".view")
        .first.locator("figcaption", has_text="Model C")
        .inner_text()
        .endswith("no mask")
    )


def test_pairs_and_models_are_chosen_by_the_keyboard(page):
    page.locator("#pair-chart").scroll_into_view_if_needed()
    page.locator("#pair-chart .vega-embed svg").wait_for()
    drawn = page.locator("#pair-chart svg").inner_html()
    page.select_option("#pair-b", label="<b>B</b> & co")
    page.select_option("#pair-a", label="Model A")
    eventually(page, lambda: page.locator("#pair-chart svg").inner_html() != drawn)
    words = page.locator("#pair-count").inner_text()
    assert words.startswith("higher in") and words.endswith("of 60 cases")
    page.locator("#size").scroll_into_view_if_needed()
    page.locator("[data-chart=spec-figure1] .vega-embed svg").wait_for()
    chip = page.get_by_role("button", name=MODELS[0].label, exact=True).first
    chip.press("Enter")
    assert chip.get_attribute("aria-pressed") == "true"
    faded = page.locator("[data-chart=spec-figure1] [opacity='0.12']")
    eventually(page, lambda: faded.count() > 0)


def test_without_a_script_everything_but_the_table_is_there(browser, report):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(report)
    assert page.locator(".chart svg").count() == 2 and page.locator(".panel path").count() > 10
    assert page.get_by_text("The scores of all cases stand in scores.csv").is_visible()
    assert not page.locator("#rows").is_visible()


def test_1166_cases_of_five_models_open_in_three_seconds(browser, tmp_path):
    results = comparison(1166, FIVE, ("polyp",), ("dice", "jaccard"))
    write_report(results, tmp_path)
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    # Seconds of the page's own thread, for other work on this machine must not count.
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto((tmp_path / PAGE).as_uri())
    page.wait_for_selector("html[data-ready]")
    page.locator("#rows").scroll_into_view_if_needed()
    assert page.locator("#case-count").inner_text() == "1166 of 1166 cases"
    assert page.locator(ROWS).first.is_visible()
    measured = session.send("Performance.getMetrics")["metrics"]
    seconds = {one["name"]: one["value"] for one in measured}
    page.close()
    assert seconds["ScriptDuration"] > 0.01
    assert seconds["TaskDuration"] < 3
    # On every machine alike: rows are drawn where they are looked at, not all 1166.
    assert seconds["Nodes"] < 10_000
