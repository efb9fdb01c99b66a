"""The reading code of the notebooks: XML and JSON give the same plain data, and what is wrong is named."""

import json

import numpy as np
import pytest
from PIL import Image

import voc
from voc import Example, Object

CAR = Object("car", (155.0, 96.0, 351.0, 270.0))
DOG = Object("dog", (0.0, 0.0, 333.0, 37.0))
PERSON = Object("person", (0.0, 0.0, 500.0, 333.0), difficult=True)
OBJECTS = {"000012": [CAR], "000017": [DOG, PERSON, CAR], "000021": []}
SIZES = {"000012": (500, 333), "000017": (501, 375), "000021": (97, 1)}


def xml_object(o, part=""):
    left, top, right, bottom = (round(side) for side in o.box)
    return (
        f"<object><name>{o.label}</name><pose>Left</pose><truncated>1</truncated><difficult>{int(o.difficult)}"
        f"</difficult>{part}<bndbox><xmin>{left + 1}</xmin><ymin>{top + 1}</ymin><xmax>{right}</xmax>"
        f"<ymax>{bottom}</ymax></bndbox></object>"
    )


def write_xml(voc_folder, name, size, *objects):
    (voc_folder / f"Annotations/{name}.xml").write_text(
        f"<annotation><filename>{name}.jpg</filename><size><width>{size[0]}</width><height>{size[1]}</height>"
        f"<depth>3</depth></size><segmented>0</segmented>{''.join(objects)}</annotation>"
    )


@pytest.fixture
def root(tmp_path):
    """A VOC 2007 of three images: one object; several, one of them difficult; none."""
    folder = tmp_path / "VOCdevkit" / "VOC2007"
    for name in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (folder / name).mkdir(parents=True)
    (folder / "ImageSets/Main/train.txt").write_text("".join(f"{name}\n" for name in OBJECTS))
    for name, objects in OBJECTS.items():
        write_xml(folder, name, SIZES[name], *map(xml_object, objects))
        Image.new("RGB", SIZES[name], "teal").save(folder / f"JPEGImages/{name}.jpg")
    return tmp_path


@pytest.fixture
def folder(root):
    return root / "VOCdevkit" / "VOC2007"


def coco(lesson):
    """The same as COCO-style JSON: as in the lesson's file, or as other tools write it (no `ignore` where it is 0)."""
    labels = {1: "car", 2: "dog", 15: "person"}
    annotations = []
    for name, objects in OBJECTS.items():
        for o in objects:
            left, top, right, bottom = (int(side) for side in o.box)
            ids = dict(image_id=int(name), category_id=next(k for k in labels if labels[k] == o.label))
            ids |= dict(bbox=[left, top, right - left, bottom - top], id=len(annotations) + 1)
            if lesson:
                ids |= dict(segmentation=[[left, top, right, bottom]], area=1, iscrowd=0, ignore=int(o.difficult))
            elif o.difficult:
                ids["ignore"] = 1
            annotations.append(ids)
    return {
        "images": [
            dict(file_name=f"{name}.jpg", width=size[0], height=size[1], id=int(name)) for name, size in SIZES.items()
        ],
        "type": "instances",
        "annotations": annotations,
        "categories": [dict(supercategory="none", id=k, name=label) for k, label in labels.items()],
    }


def test_xml_gives_files_sizes_and_objects_in_the_order_of_the_list(root, folder):
    assert voc.read_xml(root, "train") == [
        Example(folder / f"JPEGImages/{name}.jpg", SIZES[name], objects) for name, objects in OBJECTS.items()
    ]


@pytest.mark.parametrize("inner", ["", "VOCdevkit", "VOCdevkit/VOC2007"])
def test_the_root_may_be_given_at_each_level(root, inner):
    assert voc.read_xml(root / inner, "train") == voc.read_xml(root, "train")


@pytest.mark.parametrize("lesson", [True, False])
def test_both_json_styles_give_what_xml_gives(root, folder, lesson):
    path = root / "train.json"
    path.write_text(json.dumps(coco(lesson)))
    assert voc.read_json(path, folder / "JPEGImages") == voc.read_xml(root, "train")


def test_the_box_of_a_part_is_not_the_box_of_its_object(root, folder):
    head = "<part><name>head</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part>"
    write_xml(folder, "000012", SIZES["000012"], xml_object(CAR, part=head))
    assert voc.read_xml(root, "train")[0].objects == [CAR]


def test_a_box_of_one_pixel_has_an_area_of_one(root, folder):
    write_xml(folder, "000012", SIZES["000012"], xml_object(Object("car", (0, 0, 1, 1))))
    (point,) = voc.read_xml(root, "train")[0].objects
    assert point.area == 1


def test_largest_leaves_out_difficult_objects(root):
    assert [voc.largest(e) for e in voc.read_xml(root, "train")] == [CAR, CAR, None]


def test_images_of_odd_sizes_are_read_as_rgb(root, folder):
    Image.new("L", (97, 1)).save(folder / "JPEGImages/000021.jpg")
    image = voc.read_image(voc.read_xml(root, "train")[2].path)
    assert (image.mode, image.size) == ("RGB", (97, 1))


def test_a_root_without_the_layout_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"{tmp_path} should hold VOCdevkit/VOC2007"):
        voc.read_xml(tmp_path, "train")


@pytest.mark.parametrize(
    "gone, what",
    [
        ("ImageSets/Main/train.txt", "the list of images"),
        ("Annotations/000017.xml", "the annotation of .*000017.jpg"),
        ("JPEGImages/000017.jpg", "an image"),
    ],
)
def test_a_missing_file_is_named_with_what_it_should_be(root, folder, gone, what):
    (folder / gone).unlink()
    with pytest.raises(FileNotFoundError, match=f"{gone} should be {what}, but there is no such file"):
        voc.read_xml(root, "train")


@pytest.mark.parametrize(
    "text, why",
    [
        ("<annotation><size>", "no element found"),
        ("<annotation/>", "NoneType"),
        ("", "no element found"),
    ],
)
def test_a_broken_annotation_is_named(root, folder, text, why):
    (folder / "Annotations/000017.xml").write_text(text)
    with pytest.raises(ValueError, match=f"000017.xml should be an annotation in VOC's XML, but .*{why}"):
        voc.read_xml(root, "train")


def test_an_annotation_may_be_in_latin_1_if_it_says_so(root, folder):
    path, declared = folder / "Annotations/000017.xml", '<?xml version="1.0" encoding="ISO-8859-1"?>'
    label = path.read_text().replace("dog", "chien gêné")
    path.write_bytes((declared + label).encode("latin-1"))
    assert voc.read_xml(root, "train")[1].objects[0].label == "chien gêné"
    path.write_bytes(label.encode("latin-1"))
    with pytest.raises(ValueError, match="000017.xml should be an annotation in VOC's XML, but not well-formed"):
        voc.read_xml(root, "train")


def test_other_files_in_latin_1_are_named(root, folder):
    (folder / "train.json").write_bytes('{"images": "gêné"}'.encode("latin-1"))
    with pytest.raises(ValueError, match="train.json should be COCO-style JSON .*'utf-8' codec"):
        voc.read_json(folder / "train.json", folder)
    (folder / "ImageSets/Main/train.txt").write_bytes("gêné".encode("latin-1"))
    with pytest.raises(ValueError, match="train.txt should be a list of images in UTF-8, but 'utf-8' codec"):
        voc.read_xml(root, "train")


def test_an_empty_box_is_refused(root, folder):
    write_xml(folder, "000017", SIZES["000017"], xml_object(Object("car", (9, 5, 9, 7))))
    with pytest.raises(ValueError, match=r"000017.xml .* the box \(9.0, 5.0, 9.0, 7.0\) .* is empty"):
        voc.read_xml(root, "train")


@pytest.mark.parametrize("damage", ["no image at all", "cut short"])
def test_a_corrupt_image_is_named(folder, damage):
    path = folder / "JPEGImages/000017.jpg"
    path.write_bytes(damage.encode() if damage == "no image at all" else path.read_bytes()[:700])
    with pytest.raises(ValueError, match="000017.jpg should be an image that can be read, but "):
        voc.read_image(path)


@pytest.mark.parametrize(
    "change, why",
    [
        (lambda o: o.pop("categories"), "KeyError 'categories'"),
        (lambda o: o["annotations"][0].update(image_id=99), "KeyError 99"),
        (lambda o: o["annotations"][0].update(bbox=[1, 2, 3]), "not enough values"),
        (lambda o: o["annotations"][0].update(bbox=[1, 2, 0, 3]), "is empty"),
    ],
)
def test_broken_json_is_named(root, folder, change, why):
    path, data = root / "train.json", coco(lesson=True)
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match=f"train.json should be COCO-style JSON .*{why}"):
        voc.read_json(path, folder / "JPEGImages")


def test_json_names_a_missing_image(root, folder):
    path = root / "train.json"
    path.write_text(json.dumps(coco(lesson=True)))
    (folder / "JPEGImages/000021.jpg").unlink()
    with pytest.raises(FileNotFoundError, match="000021.jpg should be an image"):
        voc.read_json(path, folder / "JPEGImages")


def test_iou_of_boxes_that_agree_that_overlap_and_that_do_not():
    box = np.array([0, 0, 10, 20])
    others = np.array([[0, 0, 10, 20], [0, 0, 10, 10], [5, 0, 15, 20], [10, 0, 20, 20], [50, 50, 60, 60]])
    np.testing.assert_allclose(voc.iou(box, others), [1, 1 / 2, 1 / 3, 0, 0])


def test_iou_with_a_box_turned_inside_out_is_0():
    assert voc.iou([0, 0, 10, 10], [8, 8, 2, 2]) == 0
