"""What a model of transformers is: its kind, its size, its parts, and which one it is."""
