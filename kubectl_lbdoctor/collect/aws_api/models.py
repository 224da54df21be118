"""Where botocore gets its descriptions of the AWS services from, and how it reads them.

EC2's alone is 8 MB of JSON with 760 operations, of which a run uses a dozen. Packages of the plugin hold the part that
it uses (`models_cut`), made from one release of botocore. Beside another release, or without that part, botocore's
own files are read: slower, and nothing else.
"""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import botocore
from botocore.loaders import JSONFileLoader, Loader, create_loader

CUT = Path(__file__).parents[2] / "data" / "botocore"
"""Beneath it: SERVICE/API-VERSION/service-2.json, as in botocore's own data folder."""

RELEASE = "RELEASE"
"""The file of `CUT` that names the release of botocore that it was made from."""


class ModelLoader(Loader):  # type: ignore[misc]
    """botocore's loader, without what makes it slow: JSON is parsed by orjson, and what services there are is read off
    the names of folders instead of what is in each of 440."""

    def list_available_services(self, type_name: str) -> list[str]:
        """All services, whether or not they have a file of this type. botocore looks here before it loads one, and
        raises DataNotFoundError for a missing file, too."""
        folders = [path for path in self.search_paths if os.path.isdir(path)]
        return sorted({entry.name for folder in folders for entry in os.scandir(folder) if entry.is_dir()})


class JsonFiles(JSONFileLoader):  # type: ignore[misc]
    """Reads a JSON file, packed or not."""

    def load_file(self, file_path: str) -> Any:
        """The content of FILE_PATH.json or FILE_PATH.json.gz; None where there is neither."""
        import orjson  # not here yet when the models are cut

        plain, packed = Path(f"{file_path}.json"), Path(f"{file_path}.json.gz")
        if plain.is_file():
            return orjson.loads(plain.read_bytes())
        return orjson.loads(gzip.decompress(packed.read_bytes())) if packed.is_file() else None


def model_loader(data_path: str | None = None, cut: Path = CUT) -> ModelLoader:
    """A loader for a session of botocore, which looks for the user's own models first (`data_path`: AWS_DATA_PATH, as
    SDKs have it), then for the cut ones, then for botocore's."""
    *theirs, own = create_loader(data_path).search_paths
    paths = [*theirs, str(cut), own] if fits(cut) else [*theirs, own]
    return ModelLoader(paths, JsonFiles(), include_default_search_paths=False)


def fits(cut: Path) -> bool:
    """Whether the models were cut from the botocore that is installed."""
    try:
        release = (cut / RELEASE).read_text(encoding="utf-8").strip()
    except OSError:
        return False
    return release == str(botocore.__version__)
