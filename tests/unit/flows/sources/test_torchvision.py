"""torchvision's datasets as sources, on small files of the right formats.

torchvision compares most files with the MD5 of the published ones, which the files here cannot have. There is no way
around it but to replace those constants, and nothing else, by the MD5 of what the test wrote.
"""

import gzip
import hashlib
import pickle
import socket
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from torchvision import datasets

from flows.config.dataset_section import SourceConfig
from flows.datasets.builder import build_dataset
from flows.sources.base import SourceError
from flows.sources.open import open_source
from gan_models.data.shards import read_rows
from gan_models.ingest.decoding import decode

ROOT = Path("/nowhere")


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def pixels(number, *shape):
    return np.random.default_rng(number).integers(0, 256, shape, np.uint8)


def write_mnist(folder, monkeypatch, wanted=datasets.MNIST):
    """Five training and three test images of 28x28 in gzipped IDX files (http://yann.lecun.com/exdb/mnist)."""
    folder.mkdir(parents=True)
    resources = []
    for name, count in (("train", 5), ("t10k", 3)):
        images, labels = pixels(count, count, 28, 28), np.arange(count, dtype=np.uint8)
        for kind, array in ((f"{name}-images-idx3-ubyte", images), (f"{name}-labels-idx1-ubyte", labels)):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (folder / f"{kind}.gz").write_bytes(gzip.compress(header + array.tobytes(), mtime=0))
            resources.append((f"{kind}.gz", md5(folder / f"{kind}.gz")))
    monkeypatch.setattr(wanted, "resources", resources)


def write_cifar10(folder, monkeypatch):
    """Batches of two images as pickled dictionaries, as the Python version of CIFAR-10 has them."""
    folder.mkdir(parents=True)
    names = ["airplane", "automobile", "bird"]
    content = {f"data_batch_{i}": {"data": pixels(i, 2, 3072), "labels": [0, 1]} for i in range(1, 6)}
    content["test_batch"] = {"data": pixels(9, 2, 3072), "labels": [2, 2]}
    content["batches.meta"] = {"label_names": names}
    for name, batch in content.items():
        (folder / name).write_bytes(pickle.dumps(batch))
    batches = [[name, md5(folder / name)] for name in content]
    monkeypatch.setattr(datasets.CIFAR10, "train_list", batches[:5])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", batches[5:6])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": batches[6][1]}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)


def write_celeba(folder, monkeypatch):
    """Four portraits as JPEG, with the text files that say what they show."""
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{number:06d}.jpg" for number in range(1, 5)]
    for number, name in enumerate(names):
        Image.fromarray(pixels(number, 218, 178, 3)).save(folder / "img_align_celeba" / name)
    texts = {
        "list_attr_celeba.txt": "4\nSmiling Young\n" + "".join(f"{name}  1 -1\n" for name in names),
        "identity_CelebA.txt": "".join(f"{name} {number}\n" for number, name in enumerate(names)),
        "list_bbox_celeba.txt": "4\nimage_id x_1 y_1 width height\n" + "".join(f"{name} 1 2 3 4\n" for name in names),
        "list_landmarks_align_celeba.txt": "4\nlefteye_x lefteye_y\n" + "".join(f"{name} 5 6\n" for name in names),
        "list_eval_partition.txt": "".join(f"{name} {number % 3}\n" for number, name in enumerate(names)),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    monkeypatch.setattr(datasets.CelebA, "file_list", [("", md5(folder / name), name) for name in texts])


def write_flowers(folder, monkeypatch):
    """Six flowers as JPEG, with the MATLAB files that hold their classes and splits."""
    (folder / "jpg").mkdir(parents=True)
    for number in range(1, 7):
        Image.fromarray(pixels(number, 40, 50, 3)).save(folder / "jpg" / f"image_{number:05d}.jpg")
    savemat(folder / "imagelabels.mat", {"labels": np.array([[1, 1, 2, 2, 3, 3]])})
    savemat(folder / "setid.mat", {"trnid": [[1, 3]], "valid": [[5, 6]], "tstid": [[2, 4]]})
    names = {"label": "imagelabels.mat", "setid": "setid.mat"}
    known = {key: (name, md5(folder / name)) for key, name in names.items()}
    monkeypatch.setattr(datasets.Flowers102, "_file_dict", known)


def items_of(name, downloads):
    return list(open_source(f"torchvision:{name}", ROOT, downloads).items())


def test_mnist_is_read_whole_with_digits_as_labels(tmp_path, monkeypatch):
    write_mnist(tmp_path / "MNIST/raw", monkeypatch)
    items = items_of("MNIST", tmp_path)
    assert [item.label for item in items] == ["0", "1", "2", "0", "1", "2", "3", "4"]
    assert [item.path for item in items][2:4] == ["test/000002", "train/000000"]
    assert np.array_equal(np.asarray(decode(items[3].read())), pixels(5, 5, 28, 28)[0])
    assert open_source("torchvision:MNIST", ROOT, tmp_path).num_items == 8


def test_fashion_mnist_has_names_of_clothes_as_labels(tmp_path, monkeypatch):
    write_mnist(tmp_path / "FashionMNIST/raw", monkeypatch, datasets.FashionMNIST)
    items = items_of("FashionMNIST", tmp_path)
    assert {item.label for item in items} == {"T-shirt or top", "Trouser", "Pullover", "Dress", "Coat"}
    assert decode(items[0].read()).size == (28, 28)


def test_cifar10_is_read_whole_with_its_class_names(tmp_path, monkeypatch):
    write_cifar10(tmp_path / "cifar-10-batches-py", monkeypatch)
    items = items_of("CIFAR10", tmp_path)
    assert [item.label for item in items] == ["bird", "bird", *["airplane", "automobile"] * 5]
    expected = pixels(1, 2, 3072)[0].reshape(3, 32, 32).transpose(1, 2, 0)
    assert np.array_equal(np.asarray(decode(items[2].read())), expected)


def test_celeba_is_read_from_its_own_files_without_labels(tmp_path, monkeypatch):
    write_celeba(tmp_path / "celeba", monkeypatch)
    items = items_of("CelebA", tmp_path)
    assert [item.label for item in items] == [None] * 4
    assert items[1].read() == (tmp_path / "celeba/img_align_celeba/000002.jpg").read_bytes()


def test_flowers_are_read_from_their_own_files_with_their_names(tmp_path, monkeypatch):
    write_flowers(tmp_path / "flowers-102", monkeypatch)
    items = items_of("Flowers102", tmp_path)
    assert [item.path for item in items][::2] == ["test/000000", "train/000000", "val/000000"]
    assert {item.label for item in items} == {"pink primrose", "hard-leaved pocket orchid", "canterbury bells"}
    assert items[0].read() == (tmp_path / "flowers-102/jpg/image_00002.jpg").read_bytes()


def test_a_dataset_of_torchvision_is_split_by_the_platform(tmp_path, monkeypatch):
    write_cifar10(tmp_path / "cifar-10-batches-py", monkeypatch)
    source = open_source(SourceConfig(path="torchvision:CIFAR10", domain="photo"), ROOT, tmp_path)
    report = build_dataset([source], tmp_path / "data", evaluation_share=0.4, quarantine=tmp_path / "quarantine")
    assert (report.num_new, report.quarantined) == (12, ())
    assert {row["domain"] for row in read_rows(tmp_path / "data", ["domain"])} == {"photo"}


@pytest.mark.parametrize(("silence", "hours"), [(0.2, 12), (60, 1e-5)])
def test_a_server_that_says_nothing_or_drips_holds_up_nobody_for_ever(tmp_path, monkeypatch, silence, hours):
    monkeypatch.setattr("flows.sources.torchvision.SILENCE_SECONDS", silence)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setattr(datasets.MNIST, "mirrors", [address])  # in place of the real one
        source = open_source(SourceConfig(path="torchvision:MNIST", max_hours=hours), ROOT, tmp_path)
        with pytest.raises(SourceError, match=r"could not download .*torchvision:MNIST"):
            _ = source.num_items
    assert socket.getdefaulttimeout() is None


def test_without_a_network_one_is_told_where_to_put_the_files(tmp_path, monkeypatch, dead_address):
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"{dead_address}/"])  # in place of the real one
    with pytest.raises(SourceError, match=r"could not download .*torchvision:MNIST .*put its files.*MNIST/raw"):
        items_of("MNIST", tmp_path)


def test_a_damaged_file_is_not_read(tmp_path, monkeypatch, dead_address):
    write_cifar10(tmp_path / "cifar-10-batches-py", monkeypatch)
    (tmp_path / "cifar-10-batches-py/data_batch_3").write_bytes(b"changed")
    monkeypatch.setattr(datasets.CIFAR10, "url", f"{dead_address}/cifar-10-python.tar.gz")
    with pytest.raises(SourceError, match="torchvision:CIFAR10"):
        items_of("CIFAR10", tmp_path)


def test_the_fingerprint_is_the_same_before_and_after_the_download_and_imports_no_torch(tmp_path):
    code = (
        "import sys; from pathlib import Path; from flows.sources.open import open_source\n"
        "print(open_source('torchvision:MNIST', Path(), Path(sys.argv[1])).fingerprint(), 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    before, torch = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    (tmp_path / "MNIST/raw").mkdir(parents=True)
    assert open_source("torchvision:MNIST", ROOT, tmp_path).fingerprint() == before
    assert torch == "False"


def test_the_nearest_dataset_of_torchvision_is_offered(tmp_path):
    with pytest.raises(SourceError, match="did you mean 'torchvision:CIFAR10'"):
        open_source("torchvision:cifar-10", tmp_path)
    with pytest.raises(SourceError, match="no source 'torchvision:ImageNet'; it can be"):
        open_source("torchvision:ImageNet", tmp_path)
