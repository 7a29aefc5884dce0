"""Every object of every bucket as one tar on standard output, and back from standard input. Run as the S3 user `admin`.

    python deploy/s3/objects.py save > objects.tar
    python deploy/s3/objects.py load < objects.tar

The tar has a file for each object, `bucket/key`. Objects are streamed, so that memory does not grow with them.
"""

import shutil
import sys
import tarfile
import tempfile
from typing import Any

import boto3

MAX_IN_MEMORY = 64 << 20  # bytes of an object; a larger one lies on the disk meanwhile


def save(s3: Any) -> int:  # noqa: ANN401
    """Write every object to standard output; how many there were."""
    count = 0
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive:
        for bucket in s3.list_buckets()["Buckets"]:
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket["Name"]):
                for found in page.get("Contents", []):
                    member = tarfile.TarInfo(f"{bucket['Name']}/{found['Key']}")
                    try:
                        answer = s3.get_object(Bucket=bucket["Name"], Key=found["Key"])
                    except s3.exceptions.NoSuchKey:
                        continue  # deleted since it was listed
                    member.size = answer["ContentLength"]
                    member.mtime = int(found["LastModified"].timestamp())
                    archive.addfile(member, answer["Body"])
                    count += 1
    return count


def load(s3: Any) -> int:  # noqa: ANN401
    """Put every object of the tar on standard input where it was; how many there were. Others stay as they are."""
    existing = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    count = 0
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
        for member in archive:
            bucket, _, key = member.name.partition("/")
            if bucket not in existing:
                s3.create_bucket(Bucket=bucket)
                existing.add(bucket)
            content = archive.extractfile(member)
            if content is not None:
                with tempfile.SpooledTemporaryFile(MAX_IN_MEMORY) as whole:  # a client goes back in what it sends
                    shutil.copyfileobj(content, whole)
                    whole.seek(0)
                    s3.upload_fileobj(whole, bucket, key)
                count += 1
    return count


def main() -> None:
    """Save or load, as the first argument says."""
    what = {"save": save, "load": load}.get(sys.argv[1] if len(sys.argv) == 2 else "")
    if what is None:
        sys.exit("usage: objects.py save > objects.tar, or objects.py load < objects.tar")
    print(f"{what(boto3.client('s3'))} objects", file=sys.stderr)


if __name__ == "__main__":
    main()
