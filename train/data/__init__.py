"""Films for training: manifest, splits, reading, augmentation, sampling."""
