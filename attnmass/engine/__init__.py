"""A model, its heads and its layout put together, and what is made of their attention."""
