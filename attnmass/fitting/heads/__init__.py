"""Which heads look at the evidence."""
