"""What a transformers model is: its kind, its size, its parts, and its identity."""
