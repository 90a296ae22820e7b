"""Draw docs/figures/report.png: four screens of a report, as a browser shows them.

    python docs/make_report_screenshot.py
    python docs/make_report_screenshot.py --report OUT --task hippocampus --case c17 --out page.png

`--report` is the folder that `segrisk compare` or `segrisk study report` wrote, or its page;
without one, a report is made from phantoms and four made-up models. It needs Playwright for Python
and a Chromium: the system's, or the one that CHROMIUM names.
"""

import argparse
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from segrisk.data.phantoms import PHANTOMS, phantom_cases
from segrisk.metrics import score
from segrisk.report.results import CaseInfo, Model, Results, StatisticsPlan
from segrisk.report.viewer import CaseView
from segrisk.report.write import PAGE, write_report
from segrisk.scores import Score

if TYPE_CHECKING:
    from playwright.sync_api import Page

HERE = Path(__file__).parent
SCREENS = ("header", "#differences", "#size", "#cases")
"""What is shown, two by two: a CSS selector each, which stands at the top of its screen."""
SIZE, COUNT = (16, 96, 96), 60
WIDTH, HEIGHT = 1180, 860


def predictions(label: np.ndarray, seed: int) -> Mapping[str, np.ndarray]:
    """Masks of four made-up models: two nearly alike, one that misses detail, one too generous."""
    generator = np.random.default_rng(seed)

    def mask(smooth: float, error: float, level: float, own: np.ndarray) -> np.ndarray:
        border = gaussian_filter(label.astype(np.float32), smooth)
        return border + error * own / own.std() > level

    fields = [
        gaussian_filter(generator.standard_normal(label.shape).astype(np.float32), 3)
        for _ in range(3)
    ]
    return {
        "baseline": mask(1.5, 0.13, 0.5, fields[0]),
        "nnunet": mask(1.2, 0.13, 0.5, fields[1]),
        "ensemble": mask(1.2, 0.128, 0.5, fields[1] + fields[2] / 2),
        "generous": mask(1.4, 0.13, 0.36, fields[2]),
    }


def scored() -> Iterator[tuple[CaseInfo, CaseView, list[Score]]]:
    """Every case with what there is to look at and its scores."""
    for index, case in enumerate(phantom_cases(PHANTOMS["glioma"], COUNT, SIZE, seed=3)):
        masks = predictions(case.label, index)
        group = f"patient-{index // 2:02d}"
        info = CaseInfo("glioma", case.id, group, float(case.label.mean()))
        low, high = np.quantile(case.image[0], [0.01, 0.998])
        shown = (255 * np.clip((case.image[0] - low) / (high - low), 0, 1)).astype(np.uint8)
        view = CaseView(
            case.id,
            (2.0, 1.0, 1.0),
            shown,
            case.label.astype(np.uint8),
            {name: mask.astype(np.uint8) for name, mask in masks.items()},
        )
        keys = ("glioma", case.id, group)
        scores = [
            Score(keys[0], name, *keys[1:], "tumour", 0, 0, metric, value)
            for name, mask in masks.items()
            for metric, value in score(mask, case.label).items()
        ]
        yield info, view, scores


def make_page(folder: Path) -> Path:
    """The report of the made-up comparison."""
    cases = list(scored())
    views = {info.case: view for info, view, _ in cases}
    labels = {"baseline": "Baseline", "nnunet": "nnU-Net", "ensemble": "Ensemble",
              "generous": "Generous"}  # fmt: skip
    results = Results(
        name="Glioma, four models",
        tasks=("glioma",),
        models=tuple(Model(name, label, "other") for name, label in labels.items()),
        cases=tuple(info for info, _, _ in cases),
        scores=tuple(one for _, _, scores in cases for one in scores),
        plan=StatisticsPlan(margin=0.02),
        subject="model",
        notes=("The cases are phantoms, and the models are made up.",),
    )
    write_report(results, folder, lambda task, label, case: views[case])
    return folder / PAGE


def chromium() -> str:
    """Where the browser is."""
    for name in (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"):
        found = name and shutil.which(name)
        if found:
            return found
    raise SystemExit("there is no Chromium: install one, or name it in CHROMIUM")


def page_of(report: Path) -> Path:
    """The page of a report that is there already, given as its folder or as itself."""
    page = report / PAGE if report.is_dir() else report
    if not page.is_file():
        raise SystemExit(f"{page}: does not exist: give --report the folder of a report")
    return page


def show(screen: "Page", selector: str) -> None:
    """Scroll to a part of the page, and wait until its charts are drawn."""
    if not screen.locator(selector).count():
        own = screen.eval_on_selector_all("section[id]", "all => all.map(one => '#' + one.id)")
        raise SystemExit(f"the page has no {selector}: give --show some of {', '.join(own)}")
    screen.evaluate("name => document.querySelector(name).scrollIntoView()", selector)
    screen.wait_for_timeout(1500)


def choose_task(screen: "Page", task: str) -> None:
    """Take one of several tasks (and labels) wherever the page lets one be chosen."""
    choices = screen.locator("select")
    taken = False
    for index in range(choices.count()):
        labels = choices.nth(index).locator("option").all_inner_texts()
        if task in labels:
            choices.nth(index).select_option(label=task, force=True)  # hidden where there is one
            taken = True
    if not taken:
        raise SystemExit(f"the page has no choice called '{task}': leave out --task, or correct it")


def view_of(screen: "Page", case: str) -> str:
    """The selector of the case that is shown under this name."""
    views = screen.eval_on_selector_all(
        ".view", "all => all.map(one => [one.querySelector('h3').textContent, '#' + one.id])"
    )
    if case not in dict(views):
        shown = ", ".join(dict(views)) or "none"
        raise SystemExit(f"the page shows no case '{case}': give --case one of {shown}")
    return dict(views)[case]


def picture(
    page: Path, target: Path, selectors: Sequence[str] = SCREENS, task: str = "", case: str = ""
) -> None:
    """Screens of the page, two in a row; of `case` in place of the first of all cases."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as name:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        screen = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=1.5
        )
        screen.goto(page.resolve().as_uri())
        if task:
            choose_task(screen, task)
        images = []
        for selector in selectors:
            show(screen, view_of(screen, case) if case and selector == "#cases" else selector)
            part = Path(name) / f"{len(images)}.png"
            screen.screenshot(path=part)
            images.append(Image.open(part).convert("RGB"))
        browser.close()
    gap, (width, height) = 24, images[0].size
    rows = -(-len(images) // 2)
    sheet = Image.new("RGB", (2 * width + gap, rows * (height + gap) - gap), "#dcd9d2")
    for index, image in enumerate(images):
        sheet.paste(image, ((index % 2) * (width + gap), (index // 2) * (height + gap)))
    sheet.resize((sheet.width // 2, sheet.height // 2), Image.Resampling.LANCZOS).save(
        target, optimize=True
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--report", type=Path, help="a report that is there (default: one is made)")
    parser.add_argument("--show", nargs="+", default=SCREENS, help=f"default: {' '.join(SCREENS)}")
    parser.add_argument("--task", default="", help="the task that charts show, of several")
    parser.add_argument("--case", default="", help="the case that #cases begins with")
    parser.add_argument("--out", type=Path, default=HERE / "figures" / "report.png")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = page_of(arguments.report) if arguments.report else make_page(Path(folder))
        picture(page, arguments.out, arguments.show, arguments.task, arguments.case)


if __name__ == "__main__":
    main()
