"""From the user's arguments to a checked fit: every call that trains or previews, and what replaces 0.7's."""
