"""Files that may be images: decoded within limits, checked, described. No PyTorch."""
