"""Tables that name images: their columns, where their paths may lead, and what is behind their addresses."""

import http.server
import threading

import pandas as pd
import pytest
from PIL import Image

from flows.config.dataset_section import SourceConfig
from flows.sources.base import SourceError
from flows.sources.open import open_source
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
    items = {item.path: item for item in opened(tmp_path, "list.csv", hosts=["127.0.0.1"]).items()}
    assert decode(items[places[0]].read()).getpixel((0, 0)) == 5
    with pytest.raises(UnreadableImageError, match="it answers 404"):
        items[places[1]].read()
    with pytest.raises(UnreadableImageError, match="does not answer"):
        items[places[2]].read()


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/x", "http://169.254.169.254/x", "https://localhost/x"])
def test_addresses_of_this_machine_and_its_network_are_refused(tmp_path, address):
    pd.DataFrame({"path": [address]}).to_csv(tmp_path / "list.csv", index=False)
    (item,) = opened(tmp_path, "list.csv").items()
    with pytest.raises(UnreadableImageError, match="this machine or in its network; if that is meant, give the source"):
        item.read()


def test_the_time_for_all_addresses_of_a_table_ends(tmp_path, web):
    pd.DataFrame({"path": [f"{web}/one.png"]}).to_csv(tmp_path / "list.csv", index=False)
    (item,) = opened(tmp_path, "list.csv", hosts=["127.0.0.1"], max_hours=1e-12).items()
    with pytest.raises(SourceError, match="more than the 1e-12 hours"):
        item.read()


def test_what_addresses_may_do_is_written_only_where_it_is_said(tmp_path):
    assert SourceConfig(path="list.csv").model_dump_json() == '"list.csv"'
    said = SourceConfig(path="list.csv", hosts=["images.internal"])
    assert said.model_dump(mode="json")["hosts"] == ["images.internal"]
    assert "max_hours" not in said.model_dump(mode="json")
    assert SourceConfig.model_validate(said.model_dump(mode="json")) == said


def labels_of(root, name):
    source = opened(root, name, label_column="label")
    return [item.label for item in source.items()], source.notes()


def written(root, values, **columns):
    paths = [f"{number}.png" for number in range(len(values))]
    pd.DataFrame({"path": paths, "label": values, **columns}).to_parquet(root / "list.parquet")
    return labels_of(root, "list.parquet")


def test_labels_are_text_or_whole_numbers_whatever_a_parquet_table_holds(tmp_path):
    assert written(tmp_path, [b"cat", b"caf\xc3\xa9"]) == (["cat", "caf\u00e9"], ())
    labels, notes = written(tmp_path, [1.0, 2.0, None])
    assert labels == ["1", "2", None]
    assert notes == ("in 2 rows of 'list.parquet' the label is a number with a point, which is read as a whole one",)
    assert written(tmp_path, [1, 2]) == (["1", "2"], ())
    assert written(tmp_path, [True, False]) == (["True", "False"], ())
    assert written(tmp_path, [1.5, 2.5]) == (["1.5", "2.5"], ())


def test_spaces_around_a_label_make_no_other_label_and_are_told(tmp_path):
    (tmp_path / "list.csv").write_text("path,label\n1.png,cat\n2.png,cat \n3.png, cat\n4.png,  \n")
    labels, notes = labels_of(tmp_path, "list.csv")
    assert labels == ["cat", "cat", "cat", None]
    assert notes == ("in 3 rows of 'list.csv' the label has spaces around it, which are left out",)


def test_one_name_in_two_spellings_of_unicode_is_one_label(tmp_path):
    assert written(tmp_path, ["caf\u00e9", "cafe\u0301"])[0] == ["caf\u00e9"] * 2


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([b"\xff\xfe", b"cat"], "holds bytes that are no UTF-8"),
        ([["cat"], ["dog", "cat"]], "holds a (list|ndarray) in a row"),
    ],
)
def test_a_column_of_what_is_no_label_is_refused(tmp_path, values, said):
    with pytest.raises(SourceError, match=f"the column 'label' of 'list.parquet' {said}.*write text or whole numbers"):
        written(tmp_path, values)


def test_paths_as_bytes_are_paths(tmp_path):
    put(tmp_path / "1.png")
    pd.DataFrame({"path": [b"1.png"]}).to_parquet(tmp_path / "list.parquet")
    (item,) = opened(tmp_path, "list.parquet").items()
    assert (item.path, bool(item.read())) == ("1.png", True)


def test_paths_as_windows_writes_them_are_found_and_told(tmp_path):
    put(tmp_path / "images/1.png", 7)
    put(tmp_path / "odd\\name.png", 8)
    (tmp_path / "list.csv").write_text("path\nimages\\1.png\nodd\\name.png\nC:\\photos\\2.png\n")
    source = opened(tmp_path, "list.csv")
    drive, one, odd = source.items()
    assert (decode(one.read()).getpixel((0, 0)), decode(odd.read()).getpixel((0, 0))) == (7, 8)
    assert source.notes() == ("in 1 rows of 'list.csv' the path has backslashes, which are read as slashes",)
    with pytest.raises(UnreadableImageError, match="one of Windows, with a drive; write it relative"):
        drive.read()
