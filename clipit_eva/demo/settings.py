"""Where the demo's settings stood before `tasks` had a room; scripts import them from here."""

from clipit_eva.tasks.synthetic import CLIP_FOLDER, CLIP_WIDTH, FEATURES, IMAGE_SIZE, NAME, SHARED

__all__ = ["CLIP_FOLDER", "CLIP_WIDTH", "FEATURES", "IMAGE_SIZE", "NAME", "SHARED"]
