"""What a fit found, for people and for programs."""
