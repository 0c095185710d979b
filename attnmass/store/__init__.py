"""What reading chunks left, kept for later queries: in memory, and on disk for every process."""
