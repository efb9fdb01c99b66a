"""Schedules and cycles for hypothesis, of the shapes and lengths that fastai 0.7 had."""

from hypothesis import strategies as st

from fastai_clr import CircularLR, CircularLRBeta, Constant, Cooldown, CosAnneal, Cycles

whole_or_fraction = st.one_of(st.integers(1, 60), st.floats(1, 60))
moms = st.one_of(st.tuples(), st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)))
triangles = st.builds(lambda a, b, m: CircularLR(a, b, *m), whole_or_fraction, whole_or_fraction, moms)
betas = st.builds(lambda a, b, m: CircularLRBeta(a, b, *m), whole_or_fraction, st.floats(0, 99.9), moms)
cooldowns = st.builds(Cooldown, whole_or_fraction)
schedules = st.one_of(triangles, betas, cooldowns, st.just(CosAnneal()), st.just(Constant()))
cycles = st.builds(Cycles, st.integers(1, 5), st.floats(0.01, 4), st.sampled_from([0.5, 1, 1.5, 2]), st.integers(1, 40))
