"""A column is declared once, in `ImageRow`: the shards hold what a row has, and it comes back as it was."""

from dataclasses import fields

import pyarrow as pa

from gan_models.data.image_row import COLUMNS, CONTENT_COLUMNS, ImageRow
from gan_models.data.shard_writer import write_shards
from gan_models.data.shards import SCHEMA, content_digest, read_rows
from tests.support.image_rows import record


def test_the_columns_of_a_shard_are_the_fields_of_a_row() -> None:
    assert [field.name for field in fields(ImageRow)] == ["data", "path", *COLUMNS]
    assert SCHEMA.names == ["image", *COLUMNS]
    assert SCHEMA.field("width").type == pa.int32()
    assert SCHEMA.field("look").type == pa.binary()


def test_every_field_of_a_row_comes_back(tmp_path) -> None:
    row = ImageRow(b"png", "a/b.png", "0f", "train", "cat", "photo", 3, 2, "inbox/a.png", "0e", "ff00", b"\0\xff")
    write_shards([row], tmp_path)
    (found,) = read_rows(tmp_path, ["image", *COLUMNS])
    image = found.pop("image")
    assert ImageRow(image["bytes"], image["path"], **found) == row


def test_the_content_digest_is_of_the_columns_that_it_was_always_of(tmp_path) -> None:
    assert CONTENT_COLUMNS == ("id", "split", "label", "domain", "source", "pair")
    write_shards([record(seed) for seed in range(5)], tmp_path)
    assert content_digest(tmp_path) == "6158cadc77a0ab110919adb4d186c13e5fedbad4ed91b6f4787b459b51c25cfa"
