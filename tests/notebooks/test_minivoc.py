"""mini-VOC: the same at every making, in VOC's layout, with tight boxes and nothing shared by train and valid."""

import hashlib
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import VOCDetection

import minivoc
import voc

pytestmark = pytest.mark.slow
N_TRAIN, N_VALID, SIZE = 60, 30, 64


@pytest.fixture(scope="module")
def sources():
    return minivoc.load_sources()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return minivoc.make(tmp_path_factory.mktemp("minivoc"), N_TRAIN, N_VALID)


@pytest.fixture(scope="module")
def scenes(sources):
    photos, digits, _ = sources
    rng = np.random.default_rng(0)
    return [minivoc.plan(rng, photos, digits, n, SIZE, valid) for n, valid in ((N_TRAIN, False), (N_VALID, True))]


def hashes(root):
    return {o.relative_to(root): hashlib.sha256(o.read_bytes()).digest() for o in root.rglob("*") if o.is_file()}


def test_every_making_gives_the_same_files(root, tmp_path):
    minivoc.make(tmp_path, N_TRAIN, N_VALID)
    assert hashes(root) == hashes(tmp_path)


def test_another_seed_gives_other_images(root, tmp_path, sources, monkeypatch):
    monkeypatch.setattr(minivoc, "load_sources", lambda: sources)
    minivoc.make(tmp_path, 3, 2, seed=1)
    image = Path("VOCdevkit/VOC2007/JPEGImages/000001.jpg")
    assert (root / image).read_bytes() != (tmp_path / image).read_bytes()


def test_an_identical_set_is_left_alone_and_another_or_a_damaged_one_is_made_anew(tmp_path, sources, monkeypatch):
    makings = []
    monkeypatch.setattr(minivoc, "load_sources", lambda: makings.append(1) or sources)
    minivoc.make(tmp_path, 3, 2)
    minivoc.make(tmp_path, 3, 2)
    assert len(makings) == 1
    minivoc.make(tmp_path, 4, 2)
    assert len(makings) == 2
    next(tmp_path.rglob("*.jpg")).unlink()
    minivoc.make(tmp_path, 4, 2)
    assert len(makings) == 3 and len(list(tmp_path.rglob("*.jpg"))) == 6


def test_a_folder_that_is_something_else_is_not_touched(tmp_path):
    photo = tmp_path / "VOCdevkit/VOC2007/JPEGImages/000005.jpg"
    photo.parent.mkdir(parents=True)
    photo.write_text("a real one")
    with pytest.raises(FileExistsError, match="should be new or a mini-VOC"):
        minivoc.make(tmp_path, 3, 2)
    assert photo.read_text() == "a real one"


@pytest.mark.parametrize("split, n", [("train", N_TRAIN), ("val", N_VALID), ("trainval", N_TRAIN + N_VALID)])
def test_torchvision_reads_the_layout(root, split, n):
    dataset = VOCDetection(root, year="2007", image_set=split, download=False)
    image, target = dataset[n - 1]
    assert len(dataset) == n and image.size == (SIZE, SIZE)
    assert target["annotation"]["size"] == {"width": str(SIZE), "height": str(SIZE), "depth": "3"}
    first = target["annotation"]["object"][0]
    assert first["name"] in minivoc.CLASSES and set(first["bndbox"]) == {"xmin", "ymin", "xmax", "ymax"}


def test_the_lists_of_the_classes_agree_with_the_annotations(root):
    lists = root / "VOCdevkit/VOC2007/ImageSets/Main"
    for name in minivoc.CLASSES:
        for e, line in zip(voc.read_xml(root, "train"), (lists / f"{name}_train.txt").read_text().splitlines()):
            assert line.split() == [e.path.stem, "1" if name in {o.label for o in e.objects} else "-1"]


def test_one_to_three_objects_inside_the_image_that_overlap_little(root):
    examples = voc.read_xml(root, "train") + voc.read_xml(root, "val")
    assert {len(e.objects) for e in examples} == {1, 2, 3}
    for e in examples:
        for o in e.objects:
            left, top, right, bottom = o.box
            assert 0 <= left < right <= SIZE and 0 <= top < bottom <= SIZE
        for a, b in combinations(e.objects, 2):
            assert voc.iou(a.box, b.box) <= 0.1


def test_the_annotations_are_those_of_the_scenes(root, scenes, sources):
    labels = sources[2]
    for split, planned in zip(("train", "val"), scenes):
        for e, scene in zip(voc.read_xml(root, split), planned, strict=True):
            assert [(o.label, o.box) for o in e.objects] == [
                (minivoc.CLASSES[labels[d.index]], d.box) for d in scene.digits
            ]


def test_boxes_are_tight(scenes, sources):
    """What differs between a scene with a digit and without lies in its box, and touches all four sides."""
    photos, digits, _ = sources
    for scene in scenes[0][:20]:
        one = scene._replace(digits=scene.digits[:1])
        ground, painted = (
            np.asarray(minivoc.paint(o, photos, digits, SIZE), int) for o in (one._replace(digits=[]), one)
        )
        rows, columns = np.nonzero(np.abs(painted - ground).max(axis=2) > 8)
        box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        assert box == one.digits[0].box


def test_train_and_valid_share_no_digit(sources):
    photos, digits, _ = sources
    rng = np.random.default_rng(0)  # scenes enough that chance alone would share a hundred digits
    scenes = [minivoc.plan(rng, photos, digits, n, SIZE, valid) for n, valid in ((500, False), (250, True))]
    train, valid = ({d.index for scene in split for d in scene.digits} for split in scenes)
    assert len(train) > 500 and len(valid) > 250 and not train & valid


def test_train_and_valid_share_no_part_of_a_photo(scenes):
    train, valid = scenes
    for a in train:
        for b in valid:
            assert a.photo != b.photo or a.crop[0] >= b.crop[2] or b.crop[0] >= a.crop[2]


def test_both_photos_and_all_classes_are_in_both_sets(scenes, sources):
    labels = sources[2]
    for split in scenes:
        assert {scene.photo for scene in split} == {0, 1}
        assert {labels[d.index] for scene in split for d in scene.digits} == set(range(10))
