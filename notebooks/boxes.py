"""Draw images and boxes as the Pascal lesson does: white with a black outline, which can be read on any ground."""

import matplotlib.pyplot as plt
from matplotlib import patheffects


def draw_images(images, columns=4, dpi=70):
    """Draw the images in a grid and return its axes."""
    rows = -(-len(images) // columns)
    size = 2.4 * columns, 2.55 * rows
    axs = plt.subplots(rows, columns, figsize=size, layout="constrained", dpi=dpi)[1].ravel()
    for ax, image in zip(axs, images):
        ax.imshow(image)
        ax.axis("off")
    return axs


def draw_box(ax, box, label="", color="white", **kwargs):
    """Draw a box, (left, top, right, bottom) in pixels, with its label above it or, without room there, inside it."""
    left, top, right, bottom = (o - 0.5 for o in box)  # imshow has the first pixel's middle at 0
    size = right - left, bottom - top
    frame = plt.Rectangle((left, top), *size, fill=False, ec=color, lw=2, **kwargs)
    _outline(ax.add_patch(frame), 4)
    has_room = top >= 0.1 * ax.get_ylim()[0]
    text = ax.text(left, max(top, 0), label, color=color, weight="bold", clip_on=True)
    text.set_va("bottom" if has_room else "top")
    _outline(text, 2)


def _outline(artist, width):
    stroke = patheffects.Stroke(linewidth=width, foreground="black")
    artist.set_path_effects([stroke, patheffects.Normal()])
