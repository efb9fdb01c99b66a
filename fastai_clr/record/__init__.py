"""`learn.sched`: what a fit did, and its plots."""

from .record import Record

__all__ = ["Record"]
