"""Virtual time: SimPy replays the plan and real ClientApps train in it."""
