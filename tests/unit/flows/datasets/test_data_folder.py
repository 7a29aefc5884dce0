"""A `data` folder that cannot be versioned is told of before anything is read."""

import shutil

import pytest

from flows.dataset import dataset
from flows.datasets.data_folder import DataFolderError, check_data_folder
from tests.support.project import Project


def test_a_folder_of_the_project_is_right_and_so_is_none(tmp_path):
    check_data_folder(tmp_path, "tiny")
    (tmp_path / "data/tiny").mkdir(parents=True)
    check_data_folder(tmp_path, "tiny")


@pytest.mark.parametrize("place", ["data", "data/tiny"])
def test_a_link_to_another_disk_is_refused_with_what_to_do(tmp_path, place):
    (tmp_path / "disk").mkdir()
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).symlink_to(tmp_path / "disk")
    with pytest.raises(DataFolderError, match=f"^{place} is a link to .*/disk.*mount the other disk there"):
        check_data_folder(tmp_path, "tiny")


def test_a_file_in_its_place_is_refused(tmp_path):
    (tmp_path / "data").touch()
    with pytest.raises(DataFolderError, match="data is a file"):
        check_data_folder(tmp_path, "tiny")


def test_the_stage_says_so_before_it_opens_a_source(project: Project, tmp_path, monkeypatch):
    (tmp_path / "disk").mkdir()
    shutil.rmtree(project.root / "data")
    (project.root / "data").symlink_to(tmp_path / "disk")
    monkeypatch.setattr("flows.lookup.dataset.open_sources", lambda *_: pytest.fail("a source was opened"))
    with pytest.raises(DataFolderError):
        dataset.fn(project.config)
