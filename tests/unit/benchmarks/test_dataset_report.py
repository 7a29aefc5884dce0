"""The report of the dataset benchmark: ratios are those of the pairs, and what was scaled says so."""

from benchmarks.support.dataset_report import Costs, Reading, Report, Versioning


def report(num_plain: int) -> Report:
    return Report(
        num_images=20_000,
        num_plain=num_plain,
        small_plain=(num_plain // 4, Versioning(4, 3.5, 80 << 20, 1, 3)),
        small=(5_000, Versioning(10, 10, 300 << 20, 7, 3)),
        large=(200_000, Versioning(180, 150, 400 << 20, 170, 10)),
        ours=[Versioning(20, 16, 360 << 20, 15, 5)],
        plain=[Versioning(10, 8, 90 << 20, 2, 8)],
        round_trip=0.02,
        far=Versioning(20, 16, 360 << 20, 15, 5),
        far_plain=Versioning(46, 8, 90 << 20, 2, 44),
        readings=[Reading(1.0, 3.0), Reading(1.0, 4.0), Reading(2.0, 7.0)],
        costs=Costs(20_000, 50_000_000, 9.0, 3.6, 0.1),
        stored_bytes=50_000_000,
        grown_bytes=600_000,
        growing=Versioning(4, 3, 300 << 20, 1, 3),
        removed_bytes=40_000_000,
        removed_shard_bytes=39_000_000,
    )


def test_a_sample_of_files_is_scaled_and_the_report_says_so():
    text = report(2_000).text()
    # Each of 1,500 files took 4 ms, so that 18,000 more take 72 s beside the 10 that were measured.
    assert "faster by, at 20,000 files | **4.1x** | | 3.9x |" in text
    assert "push` of 2,000 files" in text
    assert "faster by | **0.5x**" in report(20_000).text()


def test_shares_and_ratios_are_those_of_what_was_measured():
    text = report(2_000).text()
    assert "**1.20%**" in text
    assert "**3.5x** as fast" in text


def test_ten_million_images_follow_from_the_rates():
    text = report(2_000).text()
    assert "25 GB in 373 shards" in text
    assert "takes 1.2 hours of a machine" in text
    assert "16 machines 0.9 h" in text, "what one process gathers does not spread"
    assert "| 200,000 | 400 MiB | 180.0 |" in text
