"""What setup.cfg cannot say: packages hold the part of botocore's models that the plugin uses."""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent


class BuildWithModels(build_py):
    """Builds the modules, and cuts the models of the botocore in this environment. An editable installation has none
    until they are made by hand (Makefile); the plugin then reads botocore's own."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        sys.path.insert(0, str(HERE))
        from kubectl_lbdoctor.collect.aws_api.models_cut import write

        write(Path(self.build_lib) / "kubectl_lbdoctor" / "data" / "botocore")


setup(cmdclass={"build_py": BuildWithModels})
