"""Draw docs/figures/report.png: the report of a small comparison, as a browser shows it.

    python docs/make_report_screenshot.py [report.html]

Without a page, one is made from phantoms and four made-up models. It needs Playwright for Python
and a Chromium: the system's, or the one that CHROMIUM names.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from segrisk.data.phantoms import PHANTOMS, phantom_cases
from segrisk.metrics import score
from segrisk.report.results import CaseInfo, Model, Results, StatisticsPlan
from segrisk.report.viewer import CaseView
from segrisk.report.write import PAGE, write_report
from segrisk.scores import Score

HERE = Path(__file__).parent
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


def picture(page: Path, target: Path) -> None:
    """Four screens of the page, two by two."""
    from playwright.sync_api import sync_playwright

    parts = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        screen = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=1.5
        )
        screen.goto(page.resolve().as_uri())
        for anchor in ("header", "#differences", "#size", "#cases"):
            screen.locator(anchor).first.scroll_into_view_if_needed()
            screen.evaluate("name => document.querySelector(name).scrollIntoView()", anchor)
            screen.wait_for_timeout(1500)
            parts.append(Path(target).with_suffix(f".{len(parts)}.png"))
            screen.screenshot(path=parts[-1])
        browser.close()
    images = [Image.open(part).convert("RGB") for part in parts]
    gap, (width, height) = 24, images[0].size
    sheet = Image.new("RGB", (2 * width + gap, 2 * height + gap), "#dcd9d2")
    for index, image in enumerate(images):
        sheet.paste(image, ((index % 2) * (width + gap), (index // 2) * (height + gap)))
    sheet.resize((sheet.width // 2, sheet.height // 2), Image.Resampling.LANCZOS).save(
        target, optimize=True
    )
    for part in parts:
        part.unlink()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        page = Path(sys.argv[1]) if len(sys.argv) > 1 else make_page(Path(folder))
        picture(page, HERE / "figures" / "report.png")
