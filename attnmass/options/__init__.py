"""What a user can ask for: names, defaults and limits, checked without a model."""
