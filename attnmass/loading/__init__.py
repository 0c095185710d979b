"""From the name of a model to its layers in memory.

Nothing is imported here, so `sources` can be asked, without torch, where weights are.
"""
