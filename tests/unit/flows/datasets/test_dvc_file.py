"""data.dvc: an entry a dataset, written alike by whomever, so that git merges what two people did."""

import pytest

from flows.config.settings import Settings
from flows.datasets.dvc_file import entry_of, md5_in, tracked, tracked_md5, write_entry
from flows.datasets.errors import VersioningError
from tests.support.project import Project


@pytest.fixture
def settings(project: Project) -> Settings:
    return Settings()


def entry(digit: int) -> dict[str, object]:
    return {"md5": f"{digit}" * 32 + ".dir", "size": digit, "nfiles": 1}


def text(project: Project) -> str:
    return (project.root / "data.dvc").read_text()


def commit(project: Project, message: str) -> None:
    project.git("add", "data.dvc")
    project.git("commit", "--quiet", "-m", message)


def test_entries_are_sorted_and_the_same_whatever_the_order_in_which_they_came(project: Project, settings: Settings):
    for name in ("gamma", "alpha", "beta"):
        write_entry(settings, name, entry(1))
    one = text(project)
    for name in ("alpha", "beta", "gamma"):
        write_entry(settings, name, None)
    assert not (project.root / "data.dvc").exists()
    for name in ("beta", "gamma", "alpha"):
        write_entry(settings, name, dict(reversed(entry(1).items())))
    assert text(project) == one
    assert list(tracked(settings)) == ["alpha", "beta", "gamma"]


def test_a_version_changes_its_own_entry_and_keeps_what_people_wrote_in_the_others(
    project: Project, settings: Settings
):
    (project.root / "data.dvc").write_text(
        "outs:\n- path: data/beta\n  hash: md5\n  md5: b.dir\n  desc: scanned in May\n  push: false\n"
    )
    before = text(project).split("outs:\n")[1]
    write_entry(settings, "alpha", entry(1))
    assert before.splitlines()[:3] == text(project).splitlines()[-5:-2]
    assert entry_of(settings, "beta") == {
        "path": "data/beta",
        "hash": "md5",
        "md5": "b.dir",
        "desc": "scanned in May",
        "push": False,
    }
    assert md5_in(text(project), "alpha") == tracked_md5(settings, "alpha") == "1" * 32 + ".dir"


def test_an_entry_that_a_person_wrote_without_a_digest_is_a_dataset_without_a_version(
    project: Project, settings: Settings
):
    (project.root / "data.dvc").write_text("outs:\n- path: data/alpha\n  hash: md5\n")
    assert tracked_md5(settings, "alpha") is None
    assert tracked(settings) == {}


def test_git_merges_the_versions_of_two_datasets_and_a_new_third(project: Project, settings: Settings):
    for name in ("alpha", "beta", "delta"):
        write_entry(settings, name, entry(1))
    commit(project, "three")
    main = project.git("branch", "--show-current").strip()
    project.git("checkout", "--quiet", "-b", "other")
    write_entry(settings, "alpha", entry(2))
    commit(project, "a version of alpha")
    project.git("checkout", "--quiet", main)
    write_entry(settings, "beta", entry(3))
    write_entry(settings, "epsilon", entry(4))
    commit(project, "a version of beta, and another dataset")
    project.git("merge", "--quiet", "--no-edit", "other")
    assert {name: md5[0] for name, md5 in tracked(settings).items()} == {
        "alpha": "2",
        "beta": "3",
        "delta": "1",
        "epsilon": "4",
    }


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("outs: " + "[" * 3000 + "]" * 3000, "no list of datasets"),
        ("outs:\n- {path: ../secrets, md5: aa.dir}\n", "not the folder of a dataset"),
        ("outs:\n- {path: ./data/alpha, md5: aa.dir}\n", "not the folder of a dataset"),
        ("outs:\n- {path: data/alpha, md5: ../../etc/passwd}\n", "not the MD5 of a version of data/alpha"),
        ("outs:\n- {path: data/alpha, md5: null}\n", "not the MD5 of a version of data/alpha"),
        ("outs:\n- {path: data/alpha, md5: 11111111}\n", "not the MD5 of a version of data/alpha"),
    ],
)
def test_what_names_no_version_of_a_dataset_is_damage_and_no_version(
    project: Project, settings: Settings, content: str, told: str
):
    (project.root / "data.dvc").write_text(content)
    with pytest.raises(VersioningError, match=rf"data\.dvc is damaged .*{told}"):
        tracked(settings)


def test_a_file_that_cannot_be_read_is_damage(project: Project, settings: Settings):
    (project.root / "data.dvc").mkdir()
    with pytest.raises(VersioningError, match=r"data\.dvc is damaged"):
        tracked(settings)
