"""A source of which the config says more than its path."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from flows.config.dataset_section import SourceConfig
from flows.sources.base import Source, SourceItem
from flows.sources.files import sha256_of
from flows.sources.labels import label_text


class DescribedSource:
    """A source with the domain, the labels and the split that its config states."""

    def __init__(self, source: Source, config: SourceConfig) -> None:
        self.spec = source.spec
        self._source = source
        self._config = config

    @property
    def num_items(self) -> int:
        """Return how many files there are."""
        return self._source.num_items

    def fingerprint(self) -> str:
        """Return a SHA-256 of the source and of what the config says of it."""
        return sha256_of([self._source.fingerprint(), self._config.model_dump()])

    def notes(self) -> tuple[str, ...]:
        """Return those of the source."""
        return self._source.notes()

    def items(self) -> Iterator[SourceItem]:
        """Yield the files of the source, with what the config says of them."""
        for item in self._source.items():
            label = label_text(PurePosixPath(item.path).stem) if self._config.labels == "file" else item.label
            domain = item.domain if item.pair else self._config.domain
            yield replace(item, label=label, domain=domain, split_by=self._config.split_by)
