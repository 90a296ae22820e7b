"""Draw docs/figures/phantoms.png: six cases of each family with the reference's outline."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion, zoom

from segrisk.data.phantoms import PHANTOMS, phantom_cases

SIDE, COLUMNS, SCALE, LEFT = 64, 6, 2, 172


def tile(case) -> Image.Image:
    """One case, enlarged, its reference outlined."""
    image = case.image[0]
    low, high = np.quantile(image, [0.005, 0.995])
    grey = np.clip((zoom(image, SCALE, order=1) - low) / (high - low), 0, 1)
    picture = np.repeat((255 * grey).astype(np.uint8)[..., None], 3, axis=-1)
    label = zoom(case.label.astype(np.uint8), SCALE, order=0).astype(bool)
    picture[label & ~binary_erosion(label)] = (255, 140, 0)
    return Image.fromarray(picture)


def main() -> None:
    side, gap = SIDE * SCALE, 4
    size = (LEFT + COLUMNS * (side + gap), len(PHANTOMS) * (side + gap))
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for row, phantom in enumerate(PHANTOMS.values()):
        top = row * (side + gap)
        text = phantom.name + "\n" + phantom.mimics.replace(": ", "\n")
        draw.multiline_text((4, top + side / 2 - 30), text, "black", font, spacing=6)
        for column, case in enumerate(phantom_cases(phantom, COLUMNS, (SIDE, SIDE))):
            sheet.paste(tile(case), (LEFT + column * (side + gap), top))
    target = Path(__file__).parent / "figures" / "phantoms.png"
    target.parent.mkdir(exist_ok=True)
    sheet.quantize(96).save(target, optimize=True)


if __name__ == "__main__":
    main()
