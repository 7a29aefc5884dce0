"""Creates the buckets the platform writes to, unless they exist. Run once, as the S3 user `admin`."""

import boto3

BUCKETS = ("mlflow-artifacts", "dvc", "inbox")  # people put their images into the last


def main() -> None:
    """Create the buckets that are missing."""
    s3 = boto3.client("s3")
    existing = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    for name in BUCKETS:
        if name not in existing:
            s3.create_bucket(Bucket=name)
        print(f"bucket {name}: {'exists' if name in existing else 'created'}")


if __name__ == "__main__":
    main()
