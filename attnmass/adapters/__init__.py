"""What both adapters of frameworks share, and what shares a ranker."""
