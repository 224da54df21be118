"""What of the installed packages goes into the archive, and what is left out of it.

The archive holds what the plugin can reach: of botocore's data (446 services, 28 MB) the services that the plugin
calls, of the client libraries the parts that a run imports. What it calls is asked of the plugin itself.
"""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

CANDIDATES = (
    # Graphical toolkits, packaging tools and test helpers that libraries import where they can.
    *("tkinter", "pip", "setuptools", "pkg_resources", "wheel", "distutils", "lib2to3", "ensurepip", "venv"),
    *("unittest", "doctest", "pydoc", "pdb", "test", "sqlite3", "curses", "readline", "IPython", "pytest"),
    # The asynchronous clients of kubernetes, and what they alone need.
    *("kubernetes.aio", "kubernetes.e2e_test", "aiohttp", "yarl", "multidict", "propcache", "frozenlist", "aiosignal"),
    *("aiohappyeyeballs", "attr", "attrs"),
    # Optional speed-ups of AWS transfers and of rendering that the plugin does not ask for.
    *("awscrt", "numpy", "pandas", "wcwidth", "cryptography", "OpenSSL"),
    # Parts of the client libraries that their `__init__` may import, and that nothing of the plugin calls.
    *("kubernetes.client.api", "kubernetes.client.models", "kubernetes.dynamic", "kubernetes.watch"),
    *("kubernetes.utils", "kubernetes.leaderelection", "kubernetes.informer", "kubernetes.stream"),
    *("requests_oauthlib", "oauthlib", "multiprocessing", "boto3", "s3transfer", "docutils"),
)
"""Modules that may be left out: each is, unless opening a cluster and AWS imports it."""

_REACHED = """
import importlib, pkgutil, sys
import kubectl_lbdoctor
late, services, extras = (words.split() for words in sys.argv[1:])

def reach(name):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in extras:
            raise

for module in pkgutil.walk_packages(kubectl_lbdoctor.__path__, "kubectl_lbdoctor."):
    reach(module.name)
from kubectl_lbdoctor.collect.aws_api import session as aws_session
aws_session.import_sdk()
for name in late:
    reach(name)
import botocore.session
core = botocore.session.Session()
for service in services:
    core.create_client(service, "us-west-2", aws_access_key_id="a", aws_secret_access_key="a")
print("\\n".join(sorted(sys.modules)))
"""
"""Imports all of the plugin, the client libraries as it does, what it imports only when needed, and AWS's clients. What
an extra of the plugin would bring may be missing, and nothing else."""


def excluded() -> list[str]:
    """The modules that are left out: those of CANDIDATES that this state of the code does not import."""
    needed = (late_imports(), sorted(aws_services()), sorted(extras()))
    command = [sys.executable, "-c", _REACHED, *map(" ".join, needed)]
    run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if run.returncode:
        raise SystemExit("error: a module of the plugin cannot be imported here; the reason is above")
    imported = set(run.stdout.split())
    return [name for name in CANDIDATES if name not in imported]


def extras() -> frozenset[str]:
    """The packages that the plugin can do without, by the names of their modules: what its extras bring where it is
    installed with pip, uv or pipx. The archive has none of them. What the tests need is nothing that it may import."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    brought = "\n".join(needed for extra, needed in setup["options.extras_require"].items() if extra != "test")
    return frozenset(name.lower().replace("-", "_") for name in re.findall(r"^([\w.-]+)", brought, re.MULTILINE))


def own_data() -> list[tuple[str, str]]:
    """The files of the plugin that are no modules, each with its folder in the archive. The models of AWS are cut anew
    for each archive, so that those of this tree are left out."""
    package, models = ROOT / "kubectl_lbdoctor", ROOT / "kubectl_lbdoctor" / "data" / "botocore"
    found = (path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc"))
    return [
        (str(path), path.parent.relative_to(ROOT).as_posix()) for path in sorted(found) if models not in path.parents
    ]


def late_imports() -> list[str]:
    """The modules of others that the plugin imports inside functions, in the order of its files."""
    found: dict[str, None] = {}
    for path in sorted((ROOT / "kubectl_lbdoctor").rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found.update(dict.fromkeys(name for node in ast.walk(function) for name in _imported(node)))
    return [name for name in found if name.partition(".")[0] != "kubectl_lbdoctor"]


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


def aws_services() -> frozenset[str]:
    """The services of AWS that the plugin calls, by botocore's names: its reads, its fixes, and the credentials."""
    from kubectl_lbdoctor.collect.aws_api.session import CREDENTIAL_SERVICES
    from kubectl_lbdoctor.model import reads

    return frozenset(name.partition(":")[0] for name in reads.AWS) | CREDENTIAL_SERVICES


def is_needed_data(name: str) -> bool:
    """Whether a data file, by its path in the archive with "/", is one that the plugin can open."""
    parts = name.split("/")
    if parts[0] == "boto3":
        return False  # Its resources (`boto3.resource`) and examples; the plugin uses clients.
    if parts[:2] != ["botocore", "data"]:
        return True
    if len(parts) == 3:
        return True  # Endpoints, partitions, retries: they hold for all services.
    service, version, file = parts[2], parts[3], parts[-1]
    if service not in aws_services() or file.startswith(("examples-", "waiters-")):
        return False
    return version == _newest_version(service)


def _newest_version(service: str) -> str:
    from botocore.loaders import Loader

    return Loader().determine_latest_version(service, "service-2")


def licences(modules: Iterable[str]) -> str:
    """The licence texts of the packages that these modules come from, and of Python, one after the other."""
    import sysconfig

    roots = {module.partition(".")[0].replace("\\", "/").partition("/")[0] for module in modules} | {"PyInstaller"}
    texts: dict[str, str] = {}
    for package in distributions():
        files = package.files or []
        name = package.metadata["Name"]
        if name == "kubectl-lbdoctor" or not any(file.parts[0].partition(".")[0] in roots for file in files):
            continue
        found = sorted(file for file in files if ".dist-info" in file.parts[0] and _is_licence(file.name))
        text = "\n".join(Path(str(file.locate())).read_text("utf-8", "replace").strip() for file in found)
        texts[name] = text or f"Licence: {package.metadata['License'] or package.metadata['License-Expression']}"
    python = Path(sysconfig.get_path("stdlib"), "LICENSE.txt")
    if python.exists():
        texts["Python"] = python.read_text("utf-8").strip()
    return "".join(f"==== {name} ====\n\n{texts[name]}\n\n" for name in sorted(texts, key=str.lower))


def _is_licence(name: str) -> bool:
    return name.lower().startswith(("license", "licence", "copying", "notice"))
