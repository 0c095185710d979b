"""From the name of a model to its layers in memory.

Nothing is imported here: where weights are (`sources`) can be asked without torch.
"""
