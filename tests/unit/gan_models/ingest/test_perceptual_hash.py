import io

import numpy as np
from PIL import Image, ImageEnhance
from sklearn.datasets import load_sample_images

from gan_models.ingest.perceptual_hash import Pair, near_duplicates, perceptual_hash
from tests.support.checked import present

PHOTOS = [Image.fromarray(array) for array in load_sample_images().images]


def hashes(number, seed=0):
    return [int(value) for value in np.random.default_rng(seed).integers(0, 2**64, number, np.uint64)]


def pairs(ours, theirs):
    return list(near_duplicates(np.array(ours, np.uint64), np.array(theirs, np.uint64)))


def flipped(one, bits):
    return one ^ sum(1 << bit for bit in bits)


def compressed(image):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=40)
    return Image.open(buffer)


def test_copies_are_near_and_other_photographs_far():
    china, flower = PHOTOS
    copies = [compressed(china), china.resize((213, 142)), china.convert("L")]
    copies.append(ImageEnhance.Brightness(china).enhance(1.1))
    found = [int(present(perceptual_hash(image)), 16) for image in (china, flower, *copies)]
    assert {pair.second for pair in pairs(found[:1], found[2:])} == {0, 1, 2, 3}
    assert pairs(found[:1], found[1:2]) == []


def test_images_of_one_color_have_no_hash():
    assert perceptual_hash(Image.new("RGB", (20, 20), "white")) is None
    assert perceptual_hash(Image.new("L", (8, 8), 7)) is None


def test_every_pair_that_is_near_enough_is_found_once():
    ours = hashes(200)
    theirs = hashes(100, seed=1) + [flipped(one, range(n % 7)) for n, one in enumerate(ours)] + ours[:50]
    expected = {
        (i, j, (one ^ two).bit_count())
        for i, one in enumerate(ours)
        for j, two in enumerate(theirs)
        if (one ^ two).bit_count() <= 4
    }
    found = pairs(ours, theirs)
    assert len(found) == len(set(found)) > 150
    assert set(found) == {Pair(*one) for one in expected}


def test_bits_that_differ_in_all_bands_but_one_are_found():
    one = hashes(1)[0]
    assert pairs([one], [flipped(one, (0, 13, 26, 39))]) == [Pair(0, 0, 4)]
    assert pairs([one], [flipped(one, (0, 13, 26, 39, 60))]) == []


def test_nothing_is_near_to_nothing():
    assert pairs([], hashes(3)) == []
    assert pairs(hashes(3), []) == []
