"""While a fit runs: its callback, its state, the optimizer's hyper-parameters, and undoing what it changed."""
