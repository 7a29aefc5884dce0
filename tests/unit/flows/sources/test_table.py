"""Tables that name images: their columns, where their paths may lead, and what is behind their addresses."""

import http.server
import threading

import pandas as pd
import pytest
from PIL import Image

from flows.config.model_config import SourceConfig
from flows.sources.open import SourceError, open_source
from gan_models.ingest.decoding import UnreadableImageError, decode


def put(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), value).save(path, "PNG")


def opened(root, name, **said):
    return open_source(SourceConfig(path=name, **said), root)


@pytest.fixture
def table(tmp_path):
    """`in/list.csv` and `in/list.parquet`, with two images and their labels."""
    for number in (1, 2):
        put(tmp_path / f"in/images/{number}.png", number)
    rows = pd.DataFrame({"file": ["images/2.png", "images/1.png"], "kind": [7, 3], "note": ["x", "y"]})
    rows.to_csv(tmp_path / "in/list.csv", index=False)
    rows.to_parquet(tmp_path / "in/list.parquet")
    return tmp_path


@pytest.mark.parametrize("name", ["in/list.csv", "in/list.parquet"])
def test_rows_are_images_with_labels(table, name):
    items = list(opened(table, name, image_column="file", label_column="kind").items())
    assert [(item.path, item.label) for item in items] == [("images/1.png", "3"), ("images/2.png", "7")]
    assert [decode(item.read()).getpixel((0, 0)) for item in items] == [1, 2]
    assert [item.label for item in opened(table, name, image_column="file").items()] == [None, None]


def test_the_fingerprint_follows_the_table_and_the_files(table):
    def fingerprint():
        return opened(table, "in/list.csv", image_column="file").fingerprint()

    first = fingerprint()
    assert fingerprint() == first
    put(table / "in/images/1.png", 9)
    second = fingerprint()
    with (table / "in/list.csv").open("a") as file:
        file.write("images/3.png,1,z\n")
    assert len({first, second, fingerprint()}) == 3


def test_a_column_that_is_missing_is_named_with_the_nearest(table):
    with pytest.raises(SourceError, match=r"no column 'path'; there are: file, kind, note"):
        list(opened(table, "in/list.csv").items())
    with pytest.raises(SourceError, match=r"no column 'kinds'; did you mean 'kind'\?"):
        list(opened(table, "in/list.parquet", image_column="file", label_column="kinds").items())


@pytest.mark.parametrize("content", [b"", b"PAR1 and nothing", b"\xff\xfe\x00\x01"])
@pytest.mark.parametrize("name", ["list.csv", "list.parquet"])
def test_a_table_that_is_none_is_refused_in_one_sentence(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=f"the table '{name}' (cannot be read|has no)") as caught:
        list(opened(tmp_path, name).items())
    assert "\n" not in str(caught.value)


def test_a_table_without_rows_is_refused(tmp_path):
    (tmp_path / "list.csv").write_text("path,label\n")
    with pytest.raises(SourceError, match="has no rows"):
        list(opened(tmp_path, "list.csv").items())


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("../secret.png", "leads out of the table's folder"),
        ("images/../../secret.png", "leads out of the table's folder"),
        ("/etc/hostname", "leads out of the table's folder"),
        ("link.png", "leads out of the table's folder"),
        ("file:///etc/hostname", "none of s3://, http:// and https://"),
        ("missing.png", "No such file"),
        ("", "names no file in this row"),
    ],
)
def test_a_row_that_leads_nowhere_or_elsewhere_is_not_read(tmp_path, place, said):
    put(tmp_path / "secret.png")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/link.png").symlink_to(tmp_path / "secret.png")
    pd.DataFrame({"path": [place]}).to_csv(tmp_path / "in/list.csv", index=False)
    (item,) = opened(tmp_path, "in/list.csv").items() if place else opened_blank(tmp_path)
    with pytest.raises(UnreadableImageError, match=said):
        item.read()


def opened_blank(root):
    (root / "in/list.csv").write_text("path,label\n,a\n")
    return opened(root, "in/list.csv").items()


@pytest.fixture
def web(tmp_path):
    """The address of a web server that has one image."""
    put(tmp_path / "one.png", 5)
    image = (tmp_path / "one.png").read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            found = self.path == "/one.png"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(image) if found else 0))
            self.end_headers()
            self.wfile.write(image if found else b"")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_addresses_are_read(tmp_path, web, dead_address):
    places = [f"{web}/one.png", f"{web}/two.png", f"{dead_address}/three.png"]
    pd.DataFrame({"path": places}).to_csv(tmp_path / "list.csv", index=False)
    items = {item.path: item for item in opened(tmp_path, "list.csv").items()}
    assert decode(items[places[0]].read()).getpixel((0, 0)) == 5
    with pytest.raises(UnreadableImageError, match="it answers 404"):
        items[places[1]].read()
    with pytest.raises(UnreadableImageError, match="does not answer"):
        items[places[2]].read()
