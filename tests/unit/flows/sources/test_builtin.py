"""Images that installed packages bring along."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from flows.sources.open import open_source
from gan_models.ingest.decoding import decode
from tests.support.checked import present


def test_the_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    source = open_source("builtin:digits", Path())
    items = list(source.items())
    expected = load_digits()
    assert len(items) == source.num_items == 1797
    assert [int(present(item.label)) for item in items] == expected.target.tolist()
    for item, levels in list(zip(items, expected.images, strict=True))[::100]:
        assert np.asarray(decode(item.read())).tolist() == np.rint(levels * 255 / 16).tolist()


def test_the_photographs_can_all_be_read():
    source = open_source("builtin:photos", Path())
    items = list(source.items())
    assert len(items) == source.num_items == 17
    assert [item.path for item in items] == sorted(item.path for item in items)
    assert {"astronaut.png", "china.jpg", "grace_hopper.jpg"} <= {item.path for item in items}
    assert all(item.read() and item.label is None and item.source == "builtin:photos" for item in items)


def test_fingerprints_of_builtin_sources_import_no_large_package():
    code = (
        "import sys; from pathlib import Path; from flows.sources.open import open_source\n"
        "for name in ('digits', 'photos'): open_source(f'builtin:{name}', Path()).fingerprint()\n"
        "sys.exit(str({'torch', 'pandas', 'sklearn', 'skimage', 'matplotlib'} & set(sys.modules)).replace('set()', ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stderr.strip() == ""
