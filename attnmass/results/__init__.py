"""What comes out: plain frozen data."""
