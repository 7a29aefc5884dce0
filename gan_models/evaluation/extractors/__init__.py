"""The networks that features can be measured in, one family a file."""
