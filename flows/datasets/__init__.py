"""How a dataset is built, versioned, remembered and cleaned."""
