"""One line for a person, and the name that was meant."""

from gan_models.text import did_you_mean, nearest, one_line


def test_a_text_of_several_lines_becomes_one():
    assert one_line(" a\n  b\tc ") == "a b c"
    assert one_line(ValueError("first\nsecond"), 7) == "first s"


def test_an_error_without_a_message_gives_its_kind():
    assert one_line(KeyError()) == "KeyError"
    assert one_line("") == ""


def test_the_nearest_name_is_found_whatever_its_case():
    assert nearest("CIFAR1O", ["cifar10", "mnist"]) == "cifar10"
    assert nearest("digits", ["mnist"]) is None


def test_where_nothing_is_near_all_names_are_given():
    assert did_you_mean("champoin", ["champion", "previous"]) == "did you mean 'champion'?"
    assert did_you_mean("x", ["champion", "previous"]) == "there are: champion, previous"
    assert did_you_mean("x", []) == "there are: none"
