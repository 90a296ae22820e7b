"""A comparison with all that a page must bear: labels, groups, empty masks, hostile names."""

import numpy as np

from segrisk.report.results import CaseInfo, Model, Results, StatisticsPlan
from segrisk.report.viewer import CaseView
from segrisk.scores import Score

HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"

MODELS = (
    Model("a", "Model A", "other"),
    Model("b", "<b>B</b> & co", "other"),
    Model("c", "Model C", "other"),
)


def comparison(count=60, models=MODELS, labels=("liver", "tumour"), metrics=("dice", "hd95_mm")):
    """Model m is better by 0.02 m in Dice and by m mm in HD95; two references are empty."""
    generator = np.random.default_rng(0)
    cases, scores = [], []
    for index in range(count):
        name = HOSTILE if index == 3 else f"case-{index:04d}"
        group = f"patient {index // 2}"
        for label in labels:
            fraction = 0.0 if index in (5, 6) else float(np.exp(generator.uniform(-7, -1)))
            cases.append(CaseInfo("ct", name, group, fraction, label))
            for place, model in enumerate(models):
                dice = float(np.clip(0.7 + 0.02 * place + 0.05 * generator.normal(), 0, 1))
                # Model 0 finds nothing where there is nothing; the others find something.
                values = {"dice": dice, "hd95_mm": 20 - place + generator.normal()}
                if not fraction:
                    values = {"dice": float(place == 0), "hd95_mm": 0.0 if place == 0 else 300.0}
                values["jaccard"] = values["dice"] / (2 - values["dice"])
                scores += [
                    Score("ct", model.name, name, group, label, 0, 0, metric, float(values[metric]))
                    for metric in metrics
                ]
    return Results(
        "a comparison",
        ("ct",),
        models,
        tuple(cases),
        tuple(scores),
        plan=StatisticsPlan(metrics=metrics, resamples=199),
        subject="model",
        provenance={"python": "3", "name": HOSTILE},
    )


def view(task, label, case):
    """Six slices of a ball, and of balls that are off by one, two and three pixels."""
    z, y, x = np.mgrid[:6, :40, :50]

    def ball(shift):
        return (((z - 3) * 4) ** 2 + (y - 20) ** 2 + (x - 25 - shift) ** 2 < 81).astype(np.uint8)

    image = (4 * x + 5 * z).clip(0, 255).astype(np.uint8)
    masks = {model.name: ball(place + 1) for place, model in enumerate(MODELS[:2])}
    return CaseView(case, (4.0, 1.0, 1.0), image, ball(0), masks)
