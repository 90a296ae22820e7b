"""The documentation site: every page is in it, and none asks anything of the net."""

import doctest
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(#[^)\s]*)?\)")


def listed(nav):
    """The pages of a navigation, in order."""
    for item in nav:
        for entry in item.values() if isinstance(item, dict) else [item]:
            yield from [entry] if isinstance(entry, str) else listed(entry)


CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
NAV = list(listed(CONFIG["nav"]))
PAGES = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


def test_every_page_is_in_the_navigation_once():
    left = sorted(set(PAGES) - set(NAV))
    assert not left, f"add to `nav` in mkdocs.yml: {', '.join(left)}"
    assert sorted(NAV) == PAGES


@pytest.mark.parametrize("page", [*PAGES, "../README.md"])
def test_links_lead_somewhere_on_github_too(page):
    path = DOCS / page
    for target, _ in LINK.findall(path.read_text()):
        if not target.startswith(("https://", "mailto:")):
            assert (path.parent / target).exists(), f"{page}: there is no {target}"


def test_the_site_is_strict_and_takes_no_fonts_from_the_net():
    assert CONFIG["strict"] is True
    assert CONFIG["theme"]["font"] is False
    assert "repo_url" not in CONFIG  # the theme would ask GitHub for stars on every visit
    assert any("iframe-worker" in script for script in CONFIG["extra"]["polyfills"])


@pytest.fixture(scope="module")
def hooks():
    pytest.importorskip("mkdocs", reason="MkDocs is not installed: pip install '.[docs]'")
    return runpy.run_path(str(DOCS / "site_hooks.py"))


def test_the_examples_of_the_hooks_hold(hooks):
    names = dict(hooks)
    checked = 0
    for name in ("for_the_site", "fetched_from_the_net"):
        for test in doctest.DocTestFinder().find(hooks[name], name, globs=names):
            result = doctest.DocTestRunner().run(test)
            checked += result.attempted
            assert result.failed == 0, name
    assert checked == 3


def test_equations_become_mathml_and_code_stays(hooks):
    code = "```python\nx = '[a](../b.py) $`y`$'\n```\n"
    made = hooks["for_the_site"](
        f"so $`x_1`$\n\n```math\n\\frac{{a}}{{b}}\n```\n{code}[a](../b.py)", "page.md"
    )
    assert made.count("<math") == 2 and "<mfrac>" in made
    assert "$" not in made.replace(code, "")
    assert code in made
    assert made.endswith("\na")


def test_every_equation_of_every_page_can_be_converted(hooks):
    for page in PAGES:
        made = hooks["for_the_site"]((DOCS / page).read_text(), page)
        assert "```math" not in made, page


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<script src="https://a.org/x.js"></script>', ["https://a.org/x.js"]),
        ('<link rel="stylesheet" href="//a.org/x.css">', ["//a.org/x.css"]),
        ('<img src="http://a.org/x.png"/>', ["http://a.org/x.png"]),
        ('<a href="https://a.org"><img src="x.png"></a><link rel="icon" href="x.ico">', []),
    ],
)
def test_what_a_page_would_fetch_is_found(hooks, html, found, tmp_path):
    assert hooks["fetched_from_the_net"](html) == found
    (tmp_path / "page.html").write_text(html)
    config = type("Config", (), {"site_dir": str(tmp_path)})
    if not found:
        hooks["on_post_build"](config)
        return
    with pytest.raises(Exception, match=f"page.html would fetch {found[0]}: keep a copy"):
        hooks["on_post_build"](config)


def test_examples_behind_prompts_become_blocks():
    pytest.importorskip("griffe", reason="mkdocstrings is not installed: pip install '.[docs]'")
    with_blocks = runpy.run_path(str(DOCS / "site_docstrings.py"))["with_blocks"]
    assert with_blocks("a\n\n>>> 1\n1\n>>> 2\n2\n\nb") == (
        "a\n\n```pycon\n>>> 1\n1\n>>> 2\n2\n```\n\nb"
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs", reason="MkDocs is not installed: pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        check=True,
    )
    return folder


@pytest.mark.slow
def test_the_search_works_from_a_folder(site):
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no Chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        asked, wrong = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto((site / "idea.html").as_uri())
        page.keyboard.press("/")
        page.keyboard.type("SoftDice", delay=50)
        page.wait_for_selector(".md-search-result__item")
        assert page.locator("math").count() >= 2
        browser.close()
    assert wrong == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "about:"))] == []
