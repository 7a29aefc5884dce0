"""Images on their way into models: decoding, Parquet shards, augmentation, degradations."""
