"""While a fit runs: the callback that schedules it, what it has to undo, and the optimizer's values."""
