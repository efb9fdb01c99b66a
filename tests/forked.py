"""Code in processes of their own that share one import of fastai: a new interpreter would take 4 s for it, each time.

This module does not import the plugin, and so the processes begin without it.
"""

import contextlib
import io
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["sklearn.datasets", "matplotlib", "fastai.tabular.all", "fastai.vision.all"])


def run_forked(code, *arguments):
    """What `code` prints in a process of its own in which fastai is imported; an error there is one here."""
    with ProcessPoolExecutor(1, mp_context=PROCESSES) as pool:
        return pool.submit(_run, code, list(map(str, arguments))).result()


def _run(code, arguments):
    sys.argv = ["-c", *arguments]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, {"__name__": "__main__"})
    return printed.getvalue()
