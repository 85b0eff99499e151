"""The CLIP-IT model: module, heads, LoRA, losses."""
