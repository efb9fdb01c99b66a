"""What pascal.ipynb runs on: mini-VOC with a small network, or the real VOC 2007 with a pretrained resnet34.

Environment variables decide, set before the import:

VOC_ROOT: the folder that holds VOCdevkit/VOC2007. DOWNLOAD=1: torchvision downloads it (450 MB).
PRETRAINED=0: resnet34 starts from random weights. SEED: what the random numbers start from, 0 if not given.
SHARE=0.3: a quick try on this share of the images. OUT: where files are saved, out/ beside this file if not given.
"""

import os
from functools import cache
from pathlib import Path

import torch
from fastai.vision.all import ConvLayer, Learner, PILImage, TfmdDL, create_body, nn, params
from torchvision.datasets import VOCDetection
from torchvision.models import ResNet34_Weights, resnet34

import minivoc
import voc

HERE = Path(__file__).parent
OUT = Path(os.environ.get("OUT", HERE / "out"))  # the pictures that the notebook saves, and what a Learner does
DOWNLOAD = os.environ.get("DOWNLOAD", "0") != "0"
REAL = DOWNLOAD or "VOC_ROOT" in os.environ
PRETRAINED = REAL and os.environ.get("PRETRAINED", "1") != "0"
SEED = int(os.environ.get("SEED", 0))
SHARE = float(os.environ.get("SHARE", 1))
SIZE = 224 if REAL else 64  # of the images that the network sees, in pixels
N_FEATURES = 512 if REAL else 96  # in each cell of the grid that the body makes

OUT.mkdir(exist_ok=True)


@cache
def root() -> Path:
    """The folder of the data: made or downloaded if it is missing."""
    if not REAL:
        return minivoc.make(size=SIZE)
    folder = Path(os.environ.get("VOC_ROOT", HERE / "data/voc2007"))
    if DOWNLOAD and not (folder / "VOCdevkit").exists():
        VOCDetection(folder, year="2007", image_set="trainval", download=True)
    return folder


def examples(split) -> list[voc.Example]:
    """The images of a split ("train" or "val") that have a largest object, or SHARE of them."""
    found = [e for e in voc.read_xml(root(), split) if voc.largest(e)]
    return found[: round(SHARE * len(found))]


def read(path) -> PILImage:
    """The image in the file, squashed to a square."""
    return PILImage.create(voc.read_image(path).resize((SIZE, SIZE)))


class Kept(dict):
    """Prepared images by their number; a copy of the loader goes on with the same."""

    def __deepcopy__(self, memo):
        return self


class KeptDL(TfmdDL):
    """A data loader that reads and prepares each image once, and keeps it: what is random is done to whole batches."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.kept = Kept()

    def do_item(self, s):
        if s not in self.kept:
            self.kept[s] = super().do_item(s)
        return self.kept[s]


def new_body() -> nn.Sequential:
    """The part of a network that turns an image into a grid of features, with new weights (or resnet34's)."""
    if REAL:
        return create_body(resnet34(weights=ResNet34_Weights.DEFAULT if PRETRAINED else None), cut=-2)
    body = nn.Sequential(
        ConvLayer(3, 16, stride=2), ConvLayer(16, 16), nn.MaxPool2d(2),
        ConvLayer(16, 32), ConvLayer(32, 64), nn.MaxPool2d(2),
        ConvLayer(64, 64), ConvLayer(64, N_FEATURES),
    )  # fmt: skip
    return body.to(memory_format=torch.channels_last)  # a fifth faster on a CPU


def new_learner(dls, body, head, **kwargs) -> Learner:
    """A learner with three parameter groups: early layers, late layers, head. A pretrained body is frozen."""
    learn = Learner(dls, nn.Sequential(body, head), splitter=three_groups, path=OUT, **kwargs)
    if PRETRAINED:
        learn.freeze()
    return learn


def three_groups(model):
    body, head = model
    return [params(body[:6]), params(body[6:]), params(head)]
