"""What the adapters of frameworks share: a ranker for each model, and its options as fields."""
