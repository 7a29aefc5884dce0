"""Archives as sources: what is read from them, and each kind of malicious one, really made, refused before a write."""

import gzip
import io
import stat
import struct
import tarfile
import zipfile
from contextlib import nullcontext

import pytest
from PIL import Image

from flows.sources.base import SourceError
from flows.sources.files import file_digest
from flows.sources.open import open_source
from gan_models.ingest.decoding import UnreadableImageError, decode


def png(value=0):
    buffer = io.BytesIO()
    Image.new("L", (8, 8), value).save(buffer, "PNG")
    return buffer.getvalue()


FILES = {"photos/cat/1.png": png(1), "photos/dog/summer/2.png": png(2), "photos/.DS_Store": b"x"}


def write_zip(file, content):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            info = zipfile.ZipInfo(name) if isinstance(name, str) else name
            archive.writestr(info, data, zipfile.ZIP_DEFLATED)


def write_tar(file, content, mode="w"):
    with tarfile.open(file, mode) as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def items(root, name):
    return list(open_source(name, root).items())


def refused(root, name, match):
    """The archive is refused in one sentence, and nothing but itself is in its folder, whatever its members wanted."""
    before = sorted(root.parent.rglob("*"))
    with pytest.raises(SourceError, match=match) as caught:
        list(open_source(name, root).items())
    assert "\n" not in str(caught.value)
    assert sorted(root.parent.rglob("*")) == before


@pytest.mark.parametrize("name", ["in.zip", "in.tar", "in.tar.gz", "in.tgz"])
def test_an_archive_is_read_like_the_folder_it_was_made_of(tmp_path, name):
    if name == "in.zip":
        write_zip(tmp_path / name, FILES)
    else:
        write_tar(tmp_path / name, FILES, "w" if name == "in.tar" else "w:gz")
    found = items(tmp_path, name)
    assert [(item.path, item.label, item.source) for item in found] == [
        ("cat/1.png", "cat", name),
        ("dog/summer/2.png", "dog", name),
    ]
    assert [decode(item.read()).getpixel((0, 0)) for item in found] == [1, 2]
    assert open_source(name, tmp_path).fingerprint() == open_source(name, tmp_path).fingerprint()


def test_divisions_and_litter_in_an_archive_are_no_labels(tmp_path):
    names = ("train/cat/1.png", "val/dog/2.png", "train/Thumbs.db", "__MACOSX/train/._1.png", "val/dog/desktop.ini")
    write_zip(tmp_path / "in.zip", {f"set/{name}": png(number) for number, name in enumerate(names)})
    source = open_source("in.zip", tmp_path)
    assert [(item.path, item.label) for item in source.items()] == [
        ("train/cat/1.png", "cat"),
        ("val/dog/2.png", "dog"),
    ]
    assert "for its division and not for labels" in source.notes()[0]


def test_files_outside_folders_have_no_label(tmp_path):
    write_zip(tmp_path / "in.zip", {"1.png": png(1), "cat/2.png": png(2)})
    assert [item.label for item in items(tmp_path, "in.zip")] == [None, "cat"]


def test_the_fingerprint_follows_the_bytes(tmp_path):
    write_zip(tmp_path / "in.zip", {"1.png": png(1)})
    first = open_source("in.zip", tmp_path).fingerprint()
    write_zip(tmp_path / "in.zip", {"1.png": png(2)})
    assert open_source("in.zip", tmp_path).fingerprint() != first


NAMES = {
    "/etc/evil.png": "absolute path",
    "C:/evil.png": "absolute path",
    "../evil.png": "leads out of the archive",
    "a/../../evil.png": "leads out of the archive",
    "a\\..\\evil.png": "leads out of the archive",
    "a\\evil.png": "a backslash or control characters",
    "a\nb.png": "a backslash or control characters",
    "gnp.\u202elive": "a backslash or control characters",  # shown from right to left
    "x" * 300 + ".png": "too long",
    "/".join(["abc"] * 300) + ".png": "too long",
    "more.zip": "archive within the archive",
    "bomb.TAR.GZ": "archive within the archive",
}


@pytest.mark.parametrize("kind", ["in.zip", "in.tar", "in.tar.gz"])
@pytest.mark.parametrize("name", NAMES)
def test_a_bad_name_refuses_the_archive(tmp_path, kind, name):
    root = tmp_path / "project"
    root.mkdir()
    content = {"good.png": png(), name: png()}
    if kind == "in.zip":
        write_zip(root / kind, content)
    else:
        write_tar(root / kind, content, "w" if kind == "in.tar" else "w:gz")
    refused(root, kind, NAMES[name])


@pytest.mark.parametrize("kind", ["in.zip", "in.tar"])
@pytest.mark.parametrize("names", [("cat.png", "CAT.png"), ("\u00e9.png", "e\u0301.png"), ("1.png", "1.png")])
def test_names_that_collide_refuse_the_archive(tmp_path, kind, names):
    root = tmp_path / "project"
    root.mkdir()
    if kind == "in.zip":
        with zipfile.ZipFile(root / kind, "w") as archive, pytest.warns() if names[0] == names[1] else nullcontext():
            for name in names:
                archive.writestr(name, png())
    else:
        with tarfile.open(root / kind, "w") as archive:
            for name in names:
                archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    refused(root, kind, "are one name where upper and lower case are one")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (tarfile.SYMTYPE, "is a link"),
        (tarfile.LNKTYPE, "is a link"),
        (tarfile.CHRTYPE, "is a device"),
        (tarfile.BLKTYPE, "is a device"),
        (tarfile.FIFOTYPE, "is a device"),
        (tarfile.GNUTYPE_SPARSE, "holes|damaged"),
    ],
)
def test_links_devices_and_holes_in_a_tar_refuse_it(tmp_path, kind, said):
    root = tmp_path / "project"
    root.mkdir()
    with tarfile.open(root / "in.tar", "w") as archive:
        member = tarfile.TarInfo("a.png")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    refused(root, "in.tar", said)


@pytest.mark.parametrize(
    ("mode", "said"), [(stat.S_IFLNK, "is a link"), (stat.S_IFCHR, "device"), (stat.S_IFIFO, "device")]
)
def test_links_and_devices_in_a_zip_refuse_it(tmp_path, mode, said):
    root = tmp_path / "project"
    root.mkdir()
    link = zipfile.ZipInfo("a.png")
    link.external_attr = (mode | 0o777) << 16
    write_zip(root / "in.zip", {link: "/etc/passwd"})
    refused(root, "in.zip", said)


@pytest.mark.parametrize("kind", ["in.zip", "in.tar.gz"])
def test_a_bomb_is_refused_while_it_is_looked_at(tmp_path, kind):
    root = tmp_path / "project"
    root.mkdir()
    zeros = bytes(80 << 20)  # eighty MiB that pack into eighty KiB
    write_zip(root / kind, {"a.png": zeros}) if kind == "in.zip" else write_tar(root / kind, {"a.png": zeros}, "w:gz")
    assert (root / kind).stat().st_size < 1 << 20
    refused(root, kind, "unpacks to more than 100 times")


def test_members_that_share_bytes_refuse_a_zip(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    write_zip(root / "in.zip", {"a.png": png(1), "b.png": png(2)})
    data = bytearray((root / "in.zip").read_bytes())
    second = data.rindex(b"PK\x01\x02")
    data[second + 42 : second + 46] = struct.pack("<L", 0)  # both entries point at the first member
    (root / "in.zip").write_bytes(data)
    refused(root, "in.zip", "share bytes")


def test_an_encrypted_zip_is_refused(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    write_zip(root / "in.zip", {"a.png": png(1)})
    data = bytearray((root / "in.zip").read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    (root / "in.zip").write_bytes(data)
    refused(root, "in.zip", "is encrypted")


def test_a_zip_of_a_newer_format_is_not_called_damaged(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    write_zip(root / "in.zip", {"a.png": png(1)})
    data = bytearray((root / "in.zip").read_bytes())
    data[data.index(b"PK\x01\x02") + 6] = 70  # the version needed to unpack: 7.0
    (root / "in.zip").write_bytes(data)
    refused(root, "in.zip", "takes a newer unpacker")


def test_a_tar_header_of_gigabytes_is_not_read(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    header = tarfile.TarInfo("././@PaxHeader")
    header.type, header.size = tarfile.XHDTYPE, 5 << 30
    with (root / "in.tar").open("wb") as file:
        file.write(header.tobuf(tarfile.USTAR_FORMAT))
        file.truncate(6 << 30)
    refused(root, "in.tar", "one of its headers has")


@pytest.mark.parametrize("name", ["in.zip", "in.tar", "in.tar.gz"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.95])
def test_an_archive_that_was_cut_off_is_said_to_be_damaged(tmp_path, name, share):
    root = tmp_path / "project"
    root.mkdir()
    noise = {f"{number}.png": bytes(range(256)) * 8 for number in range(20)}
    write_zip(root / name, noise) if name == "in.zip" else write_tar(
        root / name, noise, "w:gz" if "gz" in name else "w"
    )
    data = (root / name).read_bytes()
    (root / name).write_bytes(data[: int(len(data) * share)])
    if name == "in.tar" and share == 0.95:
        data = data[: data.rindex(bytes(range(256))) + 256]  # at the end of a member, where tarfile sees nothing wrong
        (root / name).write_bytes(data)
    refused(root, name, "is damaged")


def test_an_archive_without_files_is_refused(tmp_path):
    write_zip(tmp_path / "in.zip", {"folder/": b"", ".hidden": b"x"})
    with pytest.raises(SourceError, match="holds no files"):
        items(tmp_path, "in.zip")


def test_a_damaged_member_costs_that_member_alone(tmp_path):
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:  # stored, so that its bytes are found
        archive.writestr("a.png", png(1))
        archive.writestr("b.png", b"something else")
    data = bytearray((tmp_path / "in.zip").read_bytes())
    data[data.index(b"something")] ^= 1
    (tmp_path / "in.zip").write_bytes(data)
    good, bad = items(tmp_path, "in.zip")
    assert decode(good.read()).size == (8, 8)
    with pytest.raises(UnreadableImageError, match="damaged within the archive"):
        bad.read()


def test_a_name_that_is_wrong_about_the_kind_of_archive_is_no_matter(tmp_path):
    (tmp_path / "in.tar").write_bytes(gzip.compress(_tar_bytes()))
    assert [item.path for item in items(tmp_path, "in.tar")] == ["1.png"]


def _tar_bytes():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("./1.png")
        member.size = len(png())
        archive.addfile(member, io.BytesIO(png()))
    return buffer.getvalue()


def test_a_disk_that_is_too_full_to_unpack_on_is_said(tmp_path, monkeypatch):
    write_tar(tmp_path / "in.tar.gz", {"1.png": png()}, "w:gz")
    source = open_source("in.tar.gz", tmp_path)
    arriving = tmp_path / ".atelier" / "arriving"
    arriving.mkdir(parents=True)
    digest = file_digest(tmp_path / "in.tar.gz")
    (arriving / f"{digest}.partial").symlink_to("/dev/full")  # a real device that has no space
    with pytest.raises(SourceError, match=r"disk is too full to unpack 'in.tar.gz'; free some space"):
        next(source.items())
