"""Read PASCAL VOC annotations, from XML files and from COCO-style JSON, into plain data; and score boxes.

A box is (left, top, right, bottom) in pixels that count from 0; right and bottom lie outside, so width = right - left.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import numpy as np
from PIL import Image


class Object(NamedTuple):
    """One object: what it is, its box, and whether VOC calls it difficult and leaves it out of the score."""

    label: str
    box: tuple[float, float, float, float]
    difficult: bool = False

    @property
    def area(self) -> float:
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)


@dataclass(frozen=True)  # fastai takes tuples apart, so this is none
class Example:
    """One image: its file, its (width, height) in pixels, and the objects in it."""

    path: Path
    size: tuple[int, int]
    objects: list[Object]


def read_xml(root, split) -> list[Example]:
    """The examples of a split ('train', 'val', ...) of VOC 2007; `root` is the folder that holds VOCdevkit/VOC2007.

    `root` may also be VOCdevkit or VOC2007 itself. Raises FileNotFoundError for a list, an annotation or an image that
    is missing, and ValueError for an annotation that cannot be understood.
    """
    voc = _voc_folder(Path(root))
    path = voc / "ImageSets" / "Main" / f"{split}.txt"
    try:
        names = _read(path, "the list of images").decode().split()
    except UnicodeDecodeError as e:
        raise ValueError(f"{path} should be a list of images in UTF-8, but {_reason(e)}") from e
    return [_read_annotation(voc, name) for name in names]


def read_json(path, images) -> list[Example]:
    """The examples in COCO-style JSON: the lesson's `pascal_train2007.json`, or fastai's `train.json`.

    images: the folder that the images lie in. Examples come in the file's order of images, also those without objects.
    Raises FileNotFoundError for a missing file, and ValueError for one that cannot be understood.
    """
    path, images = Path(path), Path(images)
    try:
        data = json.loads(_read(path, "annotations in JSON"))
        labels = {o["id"]: o["name"] for o in data["categories"]}
        examples = {o["id"]: Example(images / o["file_name"], (o["width"], o["height"]), []) for o in data["images"]}
        for o in data["annotations"]:
            left, top, width, height = o["bbox"]
            box = _checked((left, top, left + width, top + height))
            examples[o["image_id"]].objects.append(Object(labels[o["category_id"]], box, bool(o.get("ignore", 0))))
    except (KeyError, TypeError, ValueError) as e:
        raise ValueError(
            f"{path} should be COCO-style JSON with images, annotations and categories, but {_reason(e)}"
        ) from e
    for example in examples.values():
        _check_exists(example.path)
    return list(examples.values())


def largest(example) -> Object | None:
    """The object with the largest box, difficult ones left out; None if there is no other."""
    return max((o for o in example.objects if not o.difficult), key=lambda o: o.area, default=None)


def read_image(path) -> Image.Image:
    """The image in the file as RGB; raises FileNotFoundError if it is missing, ValueError if it is damaged."""
    _check_exists(Path(path))
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError) as e:
        raise ValueError(f"{path} should be an image that can be read, but {_reason(e)}") from e


def iou(a, b) -> np.ndarray:
    """Intersection over union of the boxes in the last axis of `a` and `b`, arrays whose other axes agree."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    both = _area(np.concatenate([np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])], axis=-1))
    return both / np.maximum(_area(a) + _area(b) - both, 1e-9)


def _area(boxes):
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return sides[..., 0] * sides[..., 1]


def _voc_folder(root):
    for folder in (root / "VOCdevkit" / "VOC2007", root / "VOC2007", root):
        if (folder / "ImageSets").is_dir():
            return folder
    raise FileNotFoundError(f"{root} should hold VOCdevkit/VOC2007 with Annotations, ImageSets and JPEGImages")


def _read_annotation(voc, name):
    path, image = voc / "Annotations" / f"{name}.xml", voc / "JPEGImages" / f"{name}.jpg"
    text = _read(path, f"the annotation of {image}")  # bytes: XML says itself how it is encoded
    _check_exists(image)
    try:
        tree = ET.fromstring(text)
        size = tuple(int(tree.findtext(f"size/{side}")) for side in ("width", "height"))
        objects = [_read_object(o) for o in tree.findall("object")]
    except (ET.ParseError, TypeError, ValueError) as e:
        raise ValueError(f"{path} should be an annotation in VOC's XML, but {_reason(e)}") from e
    return Example(image, size, objects)


def _read_object(o):
    # VOC's pixels count from 1 and xmax, ymax belong to the box. A person's <part>s have boxes too: they lie deeper.
    left, top, right, bottom = (float(o.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax"))
    label = o.findtext("name")
    if not label:
        raise ValueError("an object has no name")
    return Object(label, _checked((left - 1, top - 1, right, bottom)), o.findtext("difficult", "0").strip() == "1")


def _checked(box):
    left, top, right, bottom = box
    if not (left < right and top < bottom):
        raise ValueError(f"the box {box} (left, top, right, bottom) is empty")
    return tuple(float(o) for o in box)


def _read(path, what):
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} should be {what}, but there is no such file") from None


def _check_exists(path):
    if not path.is_file():
        raise FileNotFoundError(f"{path} should be an image, but there is no such file")


def _reason(e):
    return f"{type(e).__name__} {e}" if isinstance(e, (KeyError, TypeError)) else str(e)
