"""Programs that measure: the recipes on the small configs, and the engine's speed against reference implementations."""
