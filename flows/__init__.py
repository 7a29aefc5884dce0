"""The platform: Prefect flows that version data, train, evaluate and promote the models of gan_models."""
