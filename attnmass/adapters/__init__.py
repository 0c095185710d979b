"""What the framework adapters share: a ranker for each model, and its options as fields."""
