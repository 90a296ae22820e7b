"""The body of `segrisk decide`: check every file, fit or read the rule, then write masks."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from segrisk.data.errors import DataError
from segrisk.decide.check import RULE_FILE, TABLE_FILE, Job, Request, check
from segrisk.decide.maps import read_map
from segrisk.decide.masks import read_reference, write_masks
from segrisk.decide.show import print_choice, print_scores
from segrisk.decide.table import ScoredMask, write_table
from segrisk.decision import Choice, Fitted, as_json, choose, from_json, named_rules
from segrisk.decision.choose import Candidate
from segrisk.decision.exact import best_cut
from segrisk.decision.exclusive import settle
from segrisk.files import write_json
from segrisk.similarity import confusion


def decide_folder(request: Request, console: Console) -> None:
    """Write a mask for every map of a folder, a table of expected scores, and the rule's numbers.

    DataError for whatever a person can mend, before anything is written.
    """
    job = check(request, console)
    choices: dict[int, Choice] = {}
    if job.references is None:
        fitted = _without_reference(job)
        by_case = [fitted] * len(job.maps)
    else:
        choices = {label: _choose(job, label) for label in job.labels}
        picked = {label: _picked(request, choice) for label, choice in choices.items()}
        fitted = {label: candidate.fitted for label, candidate in picked.items()}
        by_case = [
            {label: picked[label].by_fold[c.fold_of[index]] for label, c in choices.items()}
            for index in range(len(job.maps))
        ]
    request.out.mkdir(parents=True, exist_ok=True)
    table = list(_decided(job, by_case, choices, console))
    write_table(request.out / TABLE_FILE, table, request.metric)
    stored = {str(label): as_json(rule) for label, rule in fitted.items()}
    write_json(request.out / RULE_FILE, {"metric": request.metric, "rules": stored})
    for label, choice in choices.items():
        print_choice(console, request.metric, label, choice, _picked(request, choice))
    print_scores(console, request.metric, table, fitted)
    console.print(
        f"{len(job.names)} masks, {TABLE_FILE} and {RULE_FILE}: {request.out}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _without_reference(job: Job) -> dict[int, Fitted]:
    """The rule for each label: a stored one, or one that needs no case."""
    name = job.request.rule or "exact"
    if not name.endswith(".json"):
        return {label: named_rules(job.similarity)[name].fit([]) for label in job.labels}
    return _stored(Path(name), job)


def _stored(path: Path, job: Job) -> dict[int, Fitted]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        stored = {int(label): from_json(rule) for label, rule in content["rules"].items()}
    except OSError as error:
        raise DataError([f"{path}: cannot be read ({error.strerror}): correct --rule"]) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        text = f"is no stored rule ({error}): give the {RULE_FILE} that a run wrote"
        raise DataError([f"{path}: {text}"]) from error
    if set(stored) != set(job.labels):
        raise DataError(
            [
                f"{path}: has rules for the labels {sorted(stored)}, where the maps have "
                f"{list(job.labels)}: give a rule that was fitted on maps of this kind"
            ]
        )
    return stored


@dataclass(frozen=True, eq=False)
class _Cases(Sequence[tuple[np.ndarray, np.ndarray]]):
    """The cases of one label, read from disk whenever they are asked for."""

    job: Job
    label: int

    def __len__(self) -> int:
        return len(self.job.maps)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[override]
        own = read_map(self.job.maps[index])
        labels = read_reference(self.job.references[index], own)
        return own.channel(self.label), labels == self.label


def _choose(job: Job, label: int) -> Choice:
    known, request = named_rules(job.similarity), job.request
    if request.rule and request.rule.endswith(".json"):
        raise DataError([f"{request.rule}: a stored rule is not fitted: leave out --reference"])
    tried = [known[request.rule]] if request.rule else list(known.values())
    tried = [rule for rule in tried if rule != known["half"]]
    try:
        choice = choose(
            tried, _Cases(job, label), job.similarity, groups=job.groups, folds=request.folds
        )
    except ValueError as error:
        raise DataError([f"{request.reference}: label {label}: {error}"]) from error
    if request.rule and choice.skipped:
        raise DataError([f"{request.reference}: label {label}: {choice.skipped[0][1]}"])
    return choice


def _picked(request: Request, choice: Choice) -> Candidate:
    """The rule that was named, else the one that is chosen."""
    return choice.chosen if request.rule is None else choice.candidates[-1]


def _decided(
    job: Job,
    by_case: Sequence[dict[int, Fitted]],
    choices: dict[int, Choice],
    console: Console,
) -> Iterator[ScoredMask]:
    """Write the masks of each case, and give what the table says about them."""
    for index in track(range(len(job.maps)), "deciding", console=console, transient=True):
        own, fitted = read_map(job.maps[index]), by_case[index]
        claims = [fitted[label].decide(own.channel(label)) for label in job.labels]
        labels = settle(own.values, claims) if own.exclusive else None
        write_masks(job.request.out, own, claims if labels is None else [labels])
        reference = read_reference(job.references[index], own) if job.references else None
        for label, claim in zip(job.labels, claims, strict=True):
            mask = claim if labels is None else labels == label
            cut = best_cut(own.channel(label), job.similarity)
            found = half = None
            if reference is not None:
                found = float(job.similarity(confusion(mask, reference == label)))
                half = float(choices[label].candidates[0].scores[index])
            yield ScoredMask(
                case=own.file.id,
                label=label,
                voxels=int(np.count_nonzero(mask)),
                volume=cut.volume,
                peak=cut.peak,
                # Every rule takes whole groups of equal probabilities, so its claim is a cut.
                expected=cut.of_size(int(np.count_nonzero(claim))).score,
                score=found,
                score_at_half=half,
            )
