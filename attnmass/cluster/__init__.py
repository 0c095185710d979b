"""Beyond one machine: shards in other processes, and Ray, which runs them.

It needs the extra `ray`; `attnmass.cluster.extra.check` says so where that is missing.
"""
