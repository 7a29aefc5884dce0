"""GAN image models in plain PyTorch: networks, losses, recipes, training, evaluation and inference."""
