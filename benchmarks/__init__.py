"""Scripts that select heads and measure quality and cost; nothing in here is installed."""
