from flows.sources.sqlite_rows import SortedRows


def test_rows_come_sorted_by_all_their_columns_and_none_is_lost():
    rows = [("b", 2), ("a", None), ("b", 1), ("ä", 1), ("a", 3), ("b", 1)]
    found = SortedRows(iter(rows), num_columns=2)
    assert len(found) == 6
    assert list(found) == [("a", None), ("a", 3), ("b", 1), ("b", 1), ("b", 2), ("ä", 1)]


def test_bytes_that_are_no_text_are_sorted_too():
    assert list(SortedRows([(b"\xff",), (b"a",)], num_columns=1)) == [(b"a",), (b"\xff",)]


def test_two_can_read_at_once():
    rows = SortedRows([(number,) for number in (3, 1, 2)], num_columns=1)
    assert list(zip(rows, rows, strict=True)) == [((n,), (n,)) for n in (1, 2, 3)]


def test_there_may_be_no_rows():
    assert len(SortedRows([], num_columns=1)) == 0
