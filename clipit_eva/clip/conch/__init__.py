"""CONCH (Lu et al., Nature Medicine 2024), built from timm and open_clip parts."""
