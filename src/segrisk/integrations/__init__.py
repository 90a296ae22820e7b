"""What other tools call: losses, metrics and trainers in the form that each expects.

Each module needs its tool, and is imported by itself: `segrisk.integrations.monai`,
`segrisk.integrations.torchmetrics`, `segrisk.integrations.nnunet`.
"""
