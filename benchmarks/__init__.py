"""Scripts that select heads and measure quality and cost; nothing here is installed."""
