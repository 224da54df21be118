"""The cut models of AWS services: every declared operation is in them, and is the same as in botocore's own."""

from __future__ import annotations

import ast
import gzip
import json
from pathlib import Path
from typing import Any

import botocore
import pytest
from botocore.loaders import Loader
from botocore.model import Shape, StructureShape
from botocore.session import Session

from kubectl_lbdoctor.collect.aws_api import models as aws_models
from kubectl_lbdoctor.collect.aws_api import models_cut as aws_models_cut
from kubectl_lbdoctor.collect.aws_api.models import JsonFiles, fits, model_loader
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.group_edits import GROUP_WRITES
from kubectl_lbdoctor.model.plan import AWS_WRITES

PACKAGE = Path(aws_models.__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("models") / "botocore"
    aws_models_cut.write(made)
    return made


def session(cut: Path) -> Session:
    made = Session()
    made.register_component("data_loader", model_loader(cut=cut))
    return made


def described(shape: Shape | None, known: tuple[str, ...] = ()) -> Any:
    """All that a shape says, with what it leads to; a shape within itself by its name."""
    if shape is None or shape.name in known:
        return shape and shape.name
    inner = {
        name: described(part, (*known, shape.name))
        for name in ("member", "key", "value")
        if (part := getattr(shape, name, None)) is not None and isinstance(part, Shape)
    }
    if isinstance(shape, StructureShape):
        inner |= {name: described(part, (*known, shape.name)) for name, part in shape.members.items()}
    return (shape.name, shape.type_name, shape.serialization, shape.metadata, inner)


@pytest.mark.parametrize("service", sorted(aws_models_cut.declared()))
def test_an_operation_is_the_same_as_in_the_whole_model(folder: Path, service: str) -> None:
    cut, whole = session(folder).get_service_model(service), Session().get_service_model(service)
    assert cut.metadata == whole.metadata
    assert sorted(cut.operation_names) == sorted(aws_models_cut.declared()[service])
    for name in cut.operation_names:
        mine, theirs = cut.operation_model(name), whole.operation_model(name)
        assert described(mine.input_shape) == described(theirs.input_shape), name
        assert described(mine.output_shape) == described(theirs.output_shape), name
        assert list(map(described, mine.error_shapes)) == list(map(described, theirs.error_shapes)), name
        for said in ("http", "auth_type", "static_context_parameters", "context_parameters", "idempotent_members"):
            assert getattr(mine, said) == getattr(theirs, said), (name, said)


def test_every_operation_of_reads_and_fixes_is_declared() -> None:
    declared = {f"{service}:{name}" for service, names in aws_models_cut.declared().items() for name in names}
    wanted = {*reads.AWS, *(f"ec2:{name}" for pair in AWS_WRITES.items() for name in pair)}
    wanted |= {f"elbv2:{name}" for name in GROUP_WRITES}
    assert declared == wanted and len(wanted) > 30


def test_every_operation_that_the_code_calls_is_declared_or_its_service_is_whole() -> None:
    called = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "call":
                words = [word.value for word in node.args[:2] if isinstance(word, ast.Constant)]
                called |= {tuple(words)} if len(words) == 2 else set()
    assert ("elbv2", "DescribeTargetHealth") in called and ("sts", "GetCallerIdentity") in called
    declared = aws_models_cut.declared()
    assert [call for call in called if call[1] not in declared.get(call[0], {call[1]})] == []


def test_a_service_that_is_not_cut_is_whole(folder: Path) -> None:
    names = session(folder).get_service_model("sts").operation_names
    assert "GetCallerIdentity" in names and "AssumeRoleWithWebIdentity" in names


def test_another_release_of_botocore_reads_its_own_models(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fits(folder)
    monkeypatch.setattr(botocore, "__version__", "1.99.0")
    assert not fits(folder)
    assert len(session(folder).get_service_model("elbv2").operation_names) > 40


@pytest.mark.parametrize("cut", ["absent", "half"])
def test_without_cut_models_all_are_whole(folder: Path, tmp_path: Path, cut: str) -> None:
    place = tmp_path / cut / "elbv2" / "2015-12-01"
    if cut == "half":  # a build that was interrupted has not named its release yet
        place.mkdir(parents=True)
        (place / "service-2.json").write_text("{}")
    assert len(session(tmp_path / cut).get_service_model("elbv2").operation_names) > 40


def test_the_users_own_models_come_first(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "elbv2" / "2015-12-01" / "service-2.json"
    own.parent.mkdir(parents=True)
    own.write_text(json.dumps({"version": "2.0", "metadata": {"apiVersion": "mine"}, "operations": {}, "shapes": {}}))
    loader = model_loader(str(tmp_path), folder)
    assert loader.load_service_model("elbv2", "service-2")["metadata"] == {"apiVersion": "mine"}


def test_the_loader_knows_what_botocores_own_knows(folder: Path) -> None:
    mine, theirs = model_loader(cut=folder), Loader()
    assert set(theirs.list_available_services("service-2")) <= set(mine.list_available_services("service-2"))
    assert mine.load_data("endpoints") == theirs.load_data("endpoints")
    with pytest.raises(botocore.exceptions.UnknownServiceError):
        mine.load_service_model("elastic", "service-2")
    with pytest.raises(botocore.exceptions.DataNotFoundError):
        mine.load_service_model("sts", "waiters-2")


def test_files_are_read_packed_or_not(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"b": 1}')
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(b'{"d": 2}'))
    files = JsonFiles()
    assert files.load_file(str(tmp_path / "a")) == {"b": 1}
    assert files.load_file(str(tmp_path / "c")) == {"d": 2}
    assert files.load_file(str(tmp_path / "e")) is None


def test_members_that_are_called_documentation_stay() -> None:
    shapes = {"In": {"type": "structure", "members": {"documentation": {"shape": "Text", "documentation": "words"}}}}
    model = {"operations": {"Do": {"input": {"shape": "In"}}}, "shapes": {**shapes, "Text": {}, "Other": {}}}
    cut = aws_models_cut.cut({**model, "documentation": "words", "version": "2.0"}, ["Do"])
    assert cut == {
        "version": "2.0",
        "operations": {"Do": {"input": {"shape": "In"}}},
        "shapes": {"In": {"type": "structure", "members": {"documentation": {"shape": "Text"}}}, "Text": {}},
    }
    with pytest.raises(KeyError, match="Undo"):
        aws_models_cut.cut(model, ["Undo"])
