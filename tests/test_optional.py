"""An optional package that is absent is named, with the command that installs it."""

import sys

import pytest

from sklearn_ext._optional import import_optional
from sklearn_ext.exceptions import MissingDependencyError, SklearnExtError


def test_present_module_is_returned():
    assert import_optional("os.path", extra="none", purpose="A test") is sys.modules["os.path"]


@pytest.mark.parametrize("module", ["no_such_package", "no_such_package.inner"])
def test_absent_package_says_how_to_install_it(module):
    with pytest.raises(MissingDependencyError) as caught:
        import_optional(module, extra="symbolic", purpose="formula(kind='sympy')")
    message = str(caught.value)
    assert message.startswith("formula(kind='sympy') needs the package 'no_such_package'")
    assert 'pip install "sklearn-ext[symbolic]"' in message
    assert isinstance(caught.value, SklearnExtError)
    assert isinstance(caught.value, ImportError)
    assert caught.value.name == "no_such_package"


def test_broken_package_is_not_called_absent(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency") as caught:
        import_optional("broken_package", extra="symbolic", purpose="A test")
    assert not isinstance(caught.value, MissingDependencyError)
