"""A ranker whose model `attnmass serve` has: it asks over HTTP, and chooses spans here."""
