import pytest

from flows.config.names import InvalidNameError, validate_name


@pytest.mark.parametrize("name", ["a", "digits-generator", "photos_2", "x" * 64])
def test_plain_names_are_taken_as_they_are(name):
    assert validate_name(name, "model") == name


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "../etc", "a/b", "a\\b", ".hidden", "-x", "_x", "1x", "Digits", "a b", "x" * 65, "x" * 10**6),
        *("a\n", "a\0", "a\x1b[31m", "a\u202eb", "d\u0131gits", "digi\u200bts", "\uff44igits"),
        *("\u0430bc", "a\u0301", "a\u0663"),
    ],
)
def test_everything_else_is_refused_in_one_printable_line(name):
    with pytest.raises(InvalidNameError, match="cannot name a dataset") as caught:
        validate_name(name, "dataset")
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_a_valid_name_near_it_is_offered():
    with pytest.raises(InvalidNameError, match="'my-model-2' would do"):
        validate_name("../My Model (2)", "model")
