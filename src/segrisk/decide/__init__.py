"""`segrisk decide`: from a folder of anybody's probability maps to a folder of masks."""
