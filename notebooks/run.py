"""Run a notebook of this folder from top to bottom: `python notebooks/run.py [pascal] [--seed 0]`.

The executed copy and the pictures it saves go to notebooks/out/; the notebook itself is left as it is, unless `--write`
asks for the result to take its place.
"""

import argparse
import asyncio
import hashlib
import html
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

HERE = Path(__file__).resolve().parent
OUT = HERE / "out"


class ThisPython(KernelSpecManager):
    """Knows one kernel, the Python that runs this file, whatever kernels are registered."""

    def get_kernel_spec(self, kernel_name):
        launcher = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR"]
        return KernelSpec(argv=launcher, display_name="Python 3", language="python")


class Client(NotebookClient):
    """Runs a notebook and says where it is."""

    def __init__(self, nb, say):
        km = AsyncKernelManager(kernel_spec_manager=ThisPython())
        super().__init__(nb, km=km, timeout=None, record_timing=False, resources={"metadata": {"path": str(HERE)}})
        self.say, self.start, self.on_cell_start = say, time.time(), self.announce
        self.n_code = sum(o.cell_type == "code" for o in nb.cells)

    def announce(self, cell, cell_index):
        if cell.cell_type == "markdown" and cell.source.startswith("#"):
            self.say("\n" + cell.source.splitlines()[0].lstrip("# "))
        if cell.cell_type == "code":
            k = sum(o.cell_type == "code" for o in self.nb.cells[: cell_index + 1])
            self.rows = 0
            self.say(f"[{time.time() - self.start:4.0f} s] cell {k} of {self.n_code}: {_title(cell)}")

    def process_message(self, msg, cell, cell_index):
        self._say_epochs(msg["content"].get("data", {}).get("text/html", ""))
        return super().process_message(msg, cell, cell_index)

    def _say_epochs(self, text):
        """fastai shows the epochs of a fit as a table that grows."""
        rows = re.findall(r"<tr.*?>(.*?)</tr>", text, re.S)
        for row in rows[self.rows :]:
            cells = re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.S)
            self.say("         " + "".join(f"{html.unescape(o).strip():>16}" for o in cells))
        self.rows = max(self.rows, len(rows))


def _title(cell):
    lines = [o for o in cell.source.splitlines() if o.strip() and not o.startswith(("#", "@"))]
    return next((o for o in lines if ".fit(" in o or "lr_find(" in o), lines[0])[:90]


def _drop_bars(cell):
    """Leave out finished progress bars, and the styles and empty tags that others leave behind."""

    def is_bar(o):
        text = o.get("data", {}).get("text/html")
        shown = None if text is None else re.sub(r"<style>.*?</style>|<[^>]*>", "", text, flags=re.S).strip()
        return shown == "" or "<progress" in (text or "")

    if cell.cell_type == "code":
        cell.outputs = [o for o in cell.outputs if not is_bar(o)]


def sources_hash(nb) -> str:
    """What the code cells of a notebook are, to tell later whether its outputs are theirs."""
    return hashlib.sha256("\0".join(o.source for o in nb.cells if o.cell_type == "code").encode()).hexdigest()


def print_now(line):
    """Print, also into a pipe, without waiting for more."""
    print(line, flush=True)


def execute(name="pascal", seed=None, say=print_now):
    """Run `notebooks/<name>.ipynb`; return the executed notebook's path and those of the pictures that it saved.

    Raises CellExecutionError where a cell fails; what was executed until then is written all the same.
    """
    nb = nbformat.read(HERE / f"{name}.ipynb", as_version=4)
    nb.metadata["fastai_clr"] = {"sources": sources_hash(nb)}
    OUT.mkdir(exist_ok=True)
    executed, start = OUT / f"{name}.ipynb", time.time()
    # Threads that wait in a busy loop make an epoch several times as long where other work shares the cores.
    env = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, "OUT": str(OUT)} | ({} if seed is None else {"SEED": str(seed)})
    try:
        asyncio.run(Client(nb, say).async_execute(env=env, stderr=subprocess.DEVNULL))  # what cells say comes by itself
    finally:
        for cell in nb.cells:
            _drop_bars(cell)
        nbformat.write(nb, executed)
    return executed, sorted(o for o in OUT.glob(f"{name}*.png") if o.stat().st_mtime >= start)


def last_text(nb) -> str:
    """The text that was printed last."""
    texts = ["".join(o.get("text", "") for o in cell.get("outputs", [])).strip() for cell in nb.cells]
    return next((o for o in reversed(texts) if o), "")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = sorted(o.stem for o in HERE.glob("*.ipynb"))
    parser.add_argument("name", nargs="?", default="pascal", type=lambda o: Path(o).stem, choices=names)
    parser.add_argument("--seed", type=int, help="what the random numbers start from; 0 if not given")
    parser.add_argument("--write", action="store_true", help="put the executed notebook in the place of the notebook")
    args = parser.parse_args()
    name, start = args.name, time.time()
    try:
        executed, pictures = execute(name, args.seed)
    except CellExecutionError as e:
        where = f"{os.path.relpath(OUT / name)}.ipynb holds the cell and its traceback"
        sys.exit(f"\n{name}.ipynb failed: {e.ename}: {e.evalue}\n{where}.")
    except (DeadKernelError, KeyboardInterrupt):
        sys.exit(f"\nInterrupted: the kernel ended before the last cell did. {name}.ipynb is as it was.")
    print(f"\nDone in {time.time() - start:.0f} s: {last_text(nbformat.read(executed, as_version=4))}")
    print(f"The executed notebook: {os.path.relpath(executed)}")
    for picture in pictures:
        print(f"A picture it saved:    {os.path.relpath(picture)}")
    if args.write:
        os.replace(executed, HERE / f"{name}.ipynb")
        print(f"It is now notebooks/{name}.ipynb.")


if __name__ == "__main__":
    main()
