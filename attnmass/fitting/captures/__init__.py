"""What a model's heads gave for labelled queries: captured once, kept, and turned into arrays."""
