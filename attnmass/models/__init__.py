"""What a model of transformers is: its kind, its sizes, its parts, which one it is."""
