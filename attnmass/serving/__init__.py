"""The server: reads requests from many clients, asks one model, and answers in their formats.

It needs the extra `serve`; `attnmass.serving.extra.check` says so where that is missing.
"""
