"""Backends carry out a plan; each offers ``available()`` and ``run(plan, log)``."""
