"""Experiments on copies of a Learner: which learning rate, which schedule."""
