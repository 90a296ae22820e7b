"""The report: marks, tests, curves and captions against hand computation; every rendering."""

import csv
import io
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from rich.console import Console

from segrisk.report import captions
from segrisk.report.figures import figure_dice_jaccard
from segrisk.report.marks import Marks, marks
from segrisk.report.results import CaseInfo, Model, Results, StatisticsPlan
from segrisk.report.summary import conclusions_changed, summarise
from segrisk.report.tables import all_tables, latex, markdown
from segrisk.report.terminal import show_summary
from segrisk.report.write import OURS, write_report
from segrisk.scores import Score
from segrisk.statistics import bootstrap_test, holm, paired_bootstrap, sign_flip_test

FIVE = (
    Model("ce", "CE", "pixel"),
    Model("wce", "wCE", "pixel"),
    Model("dice", "sDice", "metric"),
    Model("jaccard", "sJaccard", "metric"),
    Model("lovasz", "Lovász", "metric"),
)


def make(levels, models=FIVE, tasks=("polyps",), count=60, per_group=1, seeds=(0,), noise=0.01):
    """Results in which model m scores `levels[m]` on average, with a little noise of its own."""
    generator = np.random.default_rng(0)
    cases, scores = [], []
    for task in tasks:
        difficulty = generator.uniform(-0.1, 0.1, count)
        for index in range(count):
            info = CaseInfo(task, f"c{index:03d}", f"g{index // per_group:03d}", (index + 1) / 200)
            cases.append(info)
            for model, level in zip(models, levels, strict=True):
                for seed in seeds:
                    d = float(np.clip(level + difficulty[index] + noise * generator.normal(), 0, 1))
                    key = (task, model.name, info.case, info.group, "foreground", index % 5, seed)
                    scores += [Score(*key, "dice", d), Score(*key, "jaccard", d / (2 - d))]
    return Results("a study", tasks, models, tuple(cases), tuple(scores))


def shifted(results, model, amount):
    """The scores, with one model's Dice moved."""
    return tuple(
        replace(score, value=score.value + amount) if score.model == model else score
        for score in results.scores
    )


# Marks


def judged(better, models=FIVE):
    """The marks when `better` holds the significant pairs as (better, worse)."""
    return marks(models, better)


def test_nothing_significant_leaves_no_mark():
    assert set(judged(set()).values()) == {Marks()}


def test_the_paper_s_br18():
    # CE and wCE below each metric-sensitive loss, wCE below CE, Lovász above all others.
    metric = ("dice", "jaccard", "lovasz")
    higher = {(m, p) for m in metric for p in ("ce", "wce")} | {("ce", "wce")}
    higher |= {("lovasz", "dice"), ("lovasz", "jaccard")}
    found = judged(higher)
    assert found["ce"] == Marks(italic=True)
    assert found["wce"] == Marks(italic=True, underline=True)
    assert found["lovasz"] == Marks(bold=True)
    assert found["dice"] == found["jaccard"] == Marks()


def test_italic_needs_each_of_the_metric_sensitive_losses():
    found = judged({("dice", "ce"), ("jaccard", "ce")})
    assert not found["ce"].italic


def test_underline_needs_every_other_member_of_the_group():
    assert not judged({("dice", "lovasz")})["lovasz"].underline
    assert judged({("dice", "lovasz"), ("jaccard", "lovasz")})["lovasz"].underline


def test_metric_losses_are_never_italic_and_others_have_no_group():
    models = (Model("a", "A", "other"), Model("b", "B", "other"), Model("m", "M", "metric"))
    found = judged({("b", "a"), ("m", "a"), ("m", "b")}, models)
    assert found["a"] == Marks(italic=True) and found["m"] == Marks(bold=True)


def test_the_direction_is_that_of_the_difference():
    assert judged({("wce", "ce")})["ce"].underline and not judged({("wce", "ce")})["wce"].underline


# Numbers


def test_means_tests_and_corrections_are_those_of_the_scores():
    results = make([0.5, 0.52, 0.6, 0.6, 0.61], tasks=("a", "b"))
    summary = summarise(results)
    table = {(s.task, s.metric, s.model, s.case): (s.value, s.group) for s in results.scores}

    def column(task, metric, model):
        keys = sorted(key for key in table if key[:3] == (task, metric, model))
        return np.array([table[key][0] for key in keys]), [table[key][1] for key in keys]

    for pair in summary.by_loss.pairs:
        a, groups = column(pair.task, pair.metric.name, pair.a)
        b, _ = column(pair.task, pair.metric.name, pair.b)
        assert pair.difference == pytest.approx((a - b).mean())
        assert pair.test.p == sign_flip_test(a, b, groups).p
        assert pair.p_bootstrap == bootstrap_test(a, b, groups).p
        interval = paired_bootstrap(a, b, groups)
        assert (pair.low, pair.high) == pytest.approx((interval.low, interval.high), abs=1e-12)
    for metric in ("dice", "jaccard"):
        family = [pair for pair in summary.by_loss.pairs if pair.metric.name == metric]
        assert len(family) == 20
        adjusted = holm([pair.test.p for pair in family])
        assert [pair.p_adjusted for pair in family] == adjusted.tolist()
    assert all(
        (pair.equivalence is None) == (pair.metric.name == "jaccard")
        for pair in summary.by_loss.pairs
    )


def test_seeds_are_averaged_within_a_case_before_anything_else():
    results = make([0.5, 0.6], models=FIVE[1:3], seeds=(0, 1))
    summary = summarise(results)
    assert summary.by_loss.scores["polyps", "dice", "wce"].shape == (60,)
    assert "2 seeds averaged for each case" in captions.selection(summary, summary.by_loss)
    assert not any("With one seed" in text for text in captions.cautions(summary))


def test_curves_cut_the_cases_into_ten_bins_of_equal_count():
    results = make([0.5, 0.6], models=FIVE[1:3], count=53)
    (curve,) = summarise(results).curves
    fractions = [(index + 1) / 200 for index in range(53)]
    parts = np.array_split(np.array(fractions), 10)
    own = curve.binned["wce"]
    assert own.bins.n_cases == tuple(len(part) for part in parts)
    assert own.bins.edges == pytest.approx([(a[-1] + b[0]) / 2 for a, b in pairwise(parts)])
    scores = {s.case: s.value for s in results.scores if (s.model, s.metric) == ("wce", "dice")}
    first = [scores[f"c{index:03d}"] for index in range(len(parts[0]))]
    assert own.means[0].mean == pytest.approx(np.mean(first))
    assert own.means[0].low < own.means[0].mean < own.means[0].high
    assert curve.trends[0].slope.n_cases == 53


def test_bins_with_few_groups_have_no_band():
    (curve,) = summarise(make([0.5, 0.6], models=FIVE[1:3], count=60, per_group=2)).curves
    assert all(point.low is None for point in curve.binned["wce"].means)


def test_tasks_below_50_cases_have_no_curve_and_are_named():
    summary = summarise(make([0.5, 0.6], models=FIVE[1:3], count=49))
    assert summary.curves == () and summary.left_out == ("polyps",)
    assert "Left out, with fewer than 50 objects of known size: polyps." in captions.curve(summary)


def test_a_changed_conclusion_is_named():
    results = make([0.5, 0.5, 0.6, 0.6, 0.6])
    results = replace(results, scores_by_dice=shifted(results, "lovasz", 0.05))
    changes = conclusions_changed(summarise(results))
    assert "polyps, Dice: Lovász becomes bold" in changes
    same = replace(results, scores_by_dice=results.scores)
    assert conclusions_changed(summarise(same)) == ()


# The door


def test_a_missing_score_is_named():
    results = make([0.5, 0.6], models=FIVE[1:3])
    lacking = tuple(s for s in results.scores if (s.model, s.case) != ("dice", "c007"))
    with pytest.raises(ValueError, match="case 'c007' of polyps has no dice for 'dice', seed 0"):
        replace(results, scores=lacking)


def test_a_case_scored_twice_is_named():
    results = make([0.5, 0.6], models=FIVE[1:3])
    with pytest.raises(ValueError, match="case 'c000' of polyps is scored twice for 'wce'"):
        replace(results, scores=(*results.scores, results.scores[0]))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"case": "c999"}, "case 'c999' of polyps is scored for 'wce', but is not listed"),
        ({"task": "other"}, "case 'c000' of other is scored for 'wce', but is not listed"),
        ({"model": "who"}, "case 'c000' of polyps is scored for 'who', which is no model here"),
        ({"metric": "hd95"}, "case 'c000' of polyps has a hd95, which the plan does not name"),
        ({"group": "g9"}, "is of group 'g9' for 'wce', but of 'g000' where the cases are listed"),
        ({"value": float("nan")}, "the dice of 'wce' is nan; a missing prediction needs a value"),
    ],
)
def test_a_score_that_cannot_be_used_is_named(change, text):
    results = make([0.5, 0.6], models=FIVE[1:3])
    first = results.scores[0]
    with pytest.raises(ValueError, match=re.escape(text)):
        replace(results, scores=(*results.scores[1:], replace(first, **change)))


# Captions and renderings


def test_captions_say_what_was_run():
    plan = StatisticsPlan(resamples=499, seed=3)
    summary = summarise(replace(make([0.5, 0.5, 0.6, 0.6, 0.6], per_group=2), plan=plan))
    caption = all_tables(summary)[0].caption
    for text in (
        "n = 60 cases in 30 groups (polyps)",
        "two-sided sign-flip test of the mean difference over cases",
        "flipping groups of cases (patients), 499 random sign vectors, seed 3",
        "raw p < 0.05",
        "both masks empty scores 1, one empty scores 0",
        "epochs chosen by validation loss, 5 folds, one seed",
        "these trained models, not of the losses in general",
    ):
        assert text in caption
    assert "Holm-adjusted (over 10 comparisons of dice)" in all_tables(summary)[1].caption


def test_marks_of_table_1_alone_may_come_from_the_paper_s_bootstrap():
    results = make([0.6, 0.61], models=FIVE[1:3], count=12, noise=0.03)
    (pair, _) = summarise(results).by_loss.pairs
    assert pair.p_bootstrap < pair.test.p
    between = (pair.p_bootstrap + pair.test.p) / 2
    ours = summarise(replace(results, plan=StatisticsPlan(alpha=between)))
    plan = StatisticsPlan(alpha=between, marks="bootstrap")
    paper = summarise(replace(results, plan=plan))
    key = ("polyps", "dice", "dice")
    assert not ours.by_loss.raw[key].bold and paper.by_loss.raw[key].bold
    assert not paper.by_loss.corrected[key].bold
    assert paper.by_loss.pairs == ours.by_loss.pairs  # nothing else follows it
    first, second, *_ = (table.caption for table in all_tables(paper))
    assert "paired bootstrap of the mean difference over cases, resampling cases 9,999" in first
    assert "two-sided sign-flip test" in second and "bootstrap" not in second
    assert "Marks" in dict(captions.conventions(paper))
    assert "Marks" not in dict(captions.conventions(ours))
    assert plan.declared["marks"] == "bootstrap" and "marks" not in StatisticsPlan().declared


@pytest.mark.parametrize(("count", "text"), [(5, "cannot fall below 2/2^5 = 0.0625"), (20, "few")])
def test_captions_warn_of_few_cases(count, text):
    summary = summarise(make([0.5, 0.6], models=FIVE[1:3], count=count))
    assert any(text in caution for caution in captions.cautions(summary))
    assert any("cases are few" in caution for caution in captions.cautions(summary))
    assert "all sign vectors" in captions.test(summary, summary.by_loss) or count == 20


def test_markdown_and_latex_carry_the_marks():
    table = all_tables(summarise(make([0.5, 0.45, 0.6, 0.6, 0.7])))[0]
    text = markdown(table)
    assert re.search(r"\| \*<u>0\.\d{3}</u>\* \|", text)
    assert re.search(r"\| \*\*0\.\d{3}\*\* \|", text)
    source = latex(table)
    assert r"\textit{\underline{0." in source and r"\textbf{0." in source
    assert source.count("{") == source.count("}") and r"\toprule" in source


def test_latex_escapes_what_it_must():
    model = Model("a", "50%_#1 & {x}", "other")
    results = make([0.5], models=(model,))
    source = latex(all_tables(summarise(results))[0])
    assert r"50\%\_\#1 \& \{x\}" in source


def test_names_are_shown_as_they_stand():
    model = Model("a", "L1_2 [bold] *x* <b>", "other")
    summary = summarise(make([0.5], models=(model,)))
    assert r"L1\_2 \[bold\] \*x\* \<b>" in markdown(all_tables(summary)[0])
    terminal = Console(width=200, record=True, file=io.StringIO())
    show_summary(summary, terminal)
    assert model.label in terminal.export_text()


@pytest.mark.parametrize("is_terminal", [True, False])
def test_marks_and_the_verdict_reach_the_terminal_and_a_pipe(is_terminal):
    summary = summarise(make([0.5, 0.6], models=FIVE[1:3]))
    terminal = Console(width=200, file=io.StringIO(), force_terminal=is_terminal)
    show_summary(summary, terminal)
    text = terminal.file.getvalue()
    best = summary.ranked["polyps"][0]
    mean = f"{summary.by_loss.mean('polyps', 'dice', best.name):.3f}"
    assert (f"\x1b[1m{mean}\x1b[0m" if is_terminal else f"**{mean}**") in text
    assert f"{best.label} has the best mean Dice score on polyps" in text


def test_dice_and_jaccard_are_drawn_for_each_seed():
    summary = summarise(make([0.5, 0.6], models=FIVE[1:3], seeds=(0, 1), noise=0.2))
    rows = figure_dice_jaccard(summary).layer[1].data.values
    assert len(rows) == 2 * 2 * 60
    assert all(row["jaccard"] == pytest.approx(row["dice"] / (2 - row["dice"])) for row in rows)


@pytest.mark.parametrize("models", [FIVE[:1], FIVE[1:3], FIVE[2:]], ids=["one", "two", "metric"])
def test_any_choice_of_models_gives_a_report(tmp_path, models):
    results = make([0.5, 0.6, 0.7][: len(models)], models=models, count=12)
    write_report(results, tmp_path)
    assert (tmp_path / "report.html").exists() and not (tmp_path / "figure1.svg").exists()


def test_the_report_is_whole_self_contained_and_the_same_again(tmp_path):
    results = make([0.5, 0.45, 0.6, 0.6, 0.7], tasks=("<b>bold</b>", "other"))
    results = replace(
        results, scores_by_dice=results.scores, provenance={"torch": "2"}, notes=("a <note>",)
    )
    write_report(results, tmp_path / "a")
    write_report(results, tmp_path / "b")
    for name in ("scores.csv", "tests.csv", "table1.md", "table1.tex"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    page = (tmp_path / "a" / "report.html").read_text()
    assert "<b>bold</b>" not in page and "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "a &lt;note&gt;" in page and "No: every mark of Table 1 is the same" in page
    shown = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert re.findall(r"(?:src|href)=\"(?!#|data:)[^\"]*\"|url\((?!#)[^)]*\)", shown) == []
    assert (tmp_path / "a" / "figure1.png").read_bytes()[:4] == b"\x89PNG"
    with (tmp_path / "a" / "tests.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 2 * 10
    assert {row["selection"] for row in rows} == {"validation loss", "validation Dice"}
    assert all(0 <= float(row["p_bootstrap"]) <= 1 for row in rows)


def test_a_folder_holds_what_the_newest_report_wrote_and_what_is_not_ours(tmp_path):
    more = replace(make([0.5, 0.6], models=FIVE[1:3], tasks=("a", "b")), provenance={"torch": "2"})
    (tmp_path / "notes.txt").write_text("mine")
    write_report(more, tmp_path)
    first = {path.name for path in tmp_path.iterdir()}
    assert "ranking_across.csv" in first and first - OURS == {"notes.txt"}
    assert "notes.txt" in (tmp_path / "report.html").read_text()
    write_report(make([0.5, 0.6], models=FIVE[1:3], count=12), tmp_path)
    gone = {"ranking_across.csv", "provenance.json", "figure1.png", "figure1.svg"}
    left = {path.name for path in tmp_path.iterdir()}
    assert {name for name in first - left if not name.endswith("parquet")} == gone
    assert "ranking_across" not in (tmp_path / "report.html").read_text()


def test_the_ranking_across_data_sets_is_a_table_too(tmp_path):
    results = make([0.5, 0.6], models=FIVE[1:3], tasks=("a", "b"))
    write_report(results, tmp_path)
    text = (tmp_path / "table1.md").read_text()
    assert "**Ranking across data sets by Dice score**" in text
    assert "|  | mean rank | 2.00 | 1.00 |" in text and "|  | P(best) | 0.00 | 1.00 |" in text
    assert "Ranking across data sets" in (tmp_path / "table1.tex").read_text()
    assert "Ranking across" not in markdown(all_tables(summarise(results))[-1])
