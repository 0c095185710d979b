"""The server: reads requests of many clients, asks one model, and answers in their forms.

It needs the extra `serve`; `attnmass.serving.extra.check` says so where that is missing.
"""
