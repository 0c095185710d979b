"""What a model's heads gave for labelled queries: taken once, kept, and as arrays."""
