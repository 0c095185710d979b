"""How the mass of heads is shared out among chunks."""
