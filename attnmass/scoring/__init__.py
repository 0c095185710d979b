"""From attention to scores, order, and the chunks that are kept: no model."""
