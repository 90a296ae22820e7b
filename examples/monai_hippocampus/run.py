"""Train the bundle beside this file: python run.py HIPPOCAMPUS OUT [NAME=VALUE …].

Names are those of `configs/train.yaml`: cases, epochs, patch, batch_size.
"""

import json
import sys
from ast import literal_eval
from pathlib import Path

from monai.bundle import ConfigWorkflow

CONFIGS = Path(__file__).parent / "configs"


def train(data, out, **options):
    """Train, and return the scores of the held-out quarter."""
    workflow = ConfigWorkflow(
        config_file=str(CONFIGS / "train.yaml"),
        meta_file=str(CONFIGS / "metadata.json"),
        workflow_type="train",
        logging_file=False,
        data_dir=str(data),
        output_dir=str(out),
        **options,
    )
    workflow.initialize()
    workflow.run()
    evaluator = workflow.parser.get_parsed_content("evaluator")
    scores = {name: float(value) for name, value in evaluator.state.metrics.items()}
    (Path(out) / "scores.json").write_text(json.dumps(scores))
    return scores


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    given = (text.split("=", 1) for text in sys.argv[3:])
    print(train(*sys.argv[1:3], **{name: literal_eval(value) for name, value in given}))
