"""What a person wrote: the environment and the config of a model."""
