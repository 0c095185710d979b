"""Which heads tell the sentences that matter, and how well."""
