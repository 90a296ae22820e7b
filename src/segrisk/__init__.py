"""Which loss and which decision make a segmentation score best in Dice and Jaccard."""

__version__ = "0.1.0"
